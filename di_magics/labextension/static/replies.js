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
		const all = [...cells];
		/** @type {Map<unknown, ReplyRecord>} */
		this._byTurn = new Map(all.flatMap(([_, replies]) => replies.map((reply) => [reply.turn, reply])));
		/** @type {Map<ReplyRecord, ReplyRecord>} */
		this._known = new Map();
		/** @type {Map<unknown, Set<ReplyRecord>>} */
		this._inCells = new Map(
			all.map(([cell, replies]) => [cell, new Set(replies.map((reply) => this._first(reply)))]),
		);
	}

	/**
	 * Return whether a turn above was asked again since: a turn that this one follows is no longer shown,
	 * and its cell shows another one, which does not follow this one (as after `--append`).
	 * @param {ReplyRecord} reply
	 */
	isOutdated(reply) {
		const first = this._first(reply);
		const now = this._inCells.get(first.parent_cell);
		return Boolean(first.parent && now?.size) && !this._byTurn.has(first.parent) && !now?.has(first);
	}

	/** Return the first turn of those that one follows in the notebook. @param {ReplyRecord} turn */
	_first(turn) {
		const path = [turn];
		/** @type {ReplyRecord | undefined} */
		let at = turn;
		for (; at && !this._known.has(at); at = this._byTurn.get(at.parent)) {
			this._known.set(at, at); // where they go round in a circle
			path.push(at);
		}
		const first = (at && this._known.get(at)) ?? path[path.length - 1];
		for (const known of path) this._known.set(known, first);
		return first;
	}
}
