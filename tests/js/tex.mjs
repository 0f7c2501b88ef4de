// The lists and limits of the formula rule, from the one place where they are written.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PRINT = "from di_magics.core.shown.formula import as_json; print(as_json())";
const python = process.env.PYTHON ?? "python3";
Object.assign(globalThis, {
  TEX: JSON.parse(execFileSync(python, ["-c", PRINT], { cwd: ROOT, encoding: "utf8" })),
});
