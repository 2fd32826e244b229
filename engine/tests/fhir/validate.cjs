// Validates resources of FHIR R4, one a line on stdin, against the base definitions; unknown properties are errors.
// Prints {"resources": N, "errors": [...]}; warnings (codes beyond an extensible value set) are left out.
//
//   node validate.cjs FOLDER-WITH-THE-VALIDATOR
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const { Fhir } = createRequire(join(process.argv[2], "package.json"))("fhir");
const fhir = new Fhir();
const lines = readFileSync(0, "utf8").split("\n").filter((line) => line.trim() !== "");
const errors = [];
for (const [at, line] of lines.entries()) {
  const { valid, messages } = fhir.validate(JSON.parse(line), { errorOnUnexpected: true });
  const found = messages.filter((message) => message.severity === "error" || message.severity === "fatal");
  if (!valid || found.length > 0) errors.push({ line: at + 1, messages: found });
}
console.log(JSON.stringify({ resources: lines.length, errors }));
