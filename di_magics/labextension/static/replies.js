// The replies in a notebook's outputs, by the records of display/final.py, and whether they answer what
// the notebook has now. A record may come from anybody's file.
import { bodyOf } from "./turns.js";

const TURN = /^[\w-]{8,64}$/;

/** @param {Outputs} outputs */
export const listOutputs = (outputs) => Array.from({ length: outputs.length }, (_, at) => outputs.get(at));

/** Return the records of the replies among a cell's outputs. @param {Outputs} outputs @returns {ReplyRecord[]} */
export const readReplies = (outputs) =>
	listOutputs(outputs)
		.map(({ metadata }) => metadata?.di_magics)
		.filter((record) => typeof record?.turn === "string" && TURN.test(record.turn));

/**
 * Return whether a cell has another prompt than was answered. What `{{name}}` was then is not known.
 * @param {ReplyRecord} reply @param {string} source
 */
export function isEdited({ prompt, too_long }, source) {
	const body = bodyOf(source);
	if (body === null || typeof prompt !== "string" || too_long || source.includes("{{")) return false;
	return body !== prompt.trim();
}

/** @param {string} source */
export const asksAgain = (source) =>
	bodyOf(source) !== null || /^%chat\s+(ask|fix|retry)\b.*$/.test(source.trim());

/** All replies of a notebook. */
export class Replies {
	/** @param {Iterable<[string, ReplyRecord[]]>} cells the replies that each cell shows, by its id */
	constructor(cells) {
		/** @type {Map<unknown, ReplyRecord[]>} */
		this._inCells = new Map(cells);
		/** @type {Map<unknown, ReplyRecord>} */
		this._byTurn = new Map([...this._inCells.values()].flat().map((reply) => [reply.turn, reply]));
		/** @type {Map<ReplyRecord, boolean>} */
		this._known = new Map();
	}

	/**
	 * Return whether a turn above was asked again since: a turn that this one follows is no longer shown,
	 * and its cell shows another one, which does not follow this one (as after `--append`).
	 * @param {ReplyRecord} reply
	 */
	isOutdated(reply) {
		const path = this._path(reply, this._known);
		const first = path[path.length - 1] ?? reply;
		const outdated = this._known.get(this._byTurn.get(first.parent) ?? first) ?? this._isReplaced(first);
		for (const turn of path) this._known.set(turn, outdated);
		return outdated;
	}

	/** @param {ReplyRecord} first */
	_isReplaced(first) {
		const now = this._inCells.get(first.parent_cell) ?? [];
		if (!first.parent || this._byTurn.has(first.parent)) return false;
		return now.length > 0 && !now.some((other) => this._path(other).includes(first));
	}

	/**
	 * Return a turn and those that it follows in the notebook, before an `end`.
	 * @param {ReplyRecord | undefined} turn @param {Map<ReplyRecord, unknown>} [end]
	 */
	_path(turn, end = new Map()) {
		const path = new Set();
		for (let at = turn; at && !path.has(at) && !end.has(at); at = this._byTurn.get(at.parent)) path.add(at);
		return [...path];
	}
}
