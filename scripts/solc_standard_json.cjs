// Answers `solc --standard-json` with the pinned npm build of solc, for tools that expect a native
// compiler (py-solc-x, forge). Usage: node solc_standard_json.cjs [--base-path DIR]
// [--include-path DIR]... [--allow-paths LIST] --standard-json [FILE]; `--version` prints one.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const solc = require(path.join(__dirname, "..", "node_modules", "solc"));

const roots = [];
let file = null;
let standardJson = false;
const args = process.argv.slice(2);
while (args.length > 0) {
  const arg = args.shift();
  if (arg === "--version") {
    process.stdout.write(
      "solc, the solidity compiler commandline interface\nVersion: " + solc.version() + "\n",
    );
    process.exit(0);
  } else if (arg === "--standard-json") standardJson = true;
  else if (arg === "--base-path" || arg === "--include-path") roots.push(args.shift());
  else if (arg === "--allow-paths") args.shift();
  else if (arg === "-") file = null;
  else if (!arg.startsWith("-")) file = arg;
  else {
    process.stderr.write(`solc (npm build): unknown option ${arg}; only --standard-json is served\n`);
    process.exit(1);
  }
}
if (!standardJson) {
  process.stderr.write("solc (npm build): only --standard-json and --version are served\n");
  process.exit(1);
}

// Sources that the input names but does not hold are looked for below the base and include paths.
function readImport(name) {
  for (const root of roots.length > 0 ? roots : ["."]) {
    try {
      return { contents: fs.readFileSync(path.resolve(root, name), "utf8") };
    } catch {
      // not below this root: try the next
    }
  }
  return { error: "File not found: " + name };
}

const input = fs.readFileSync(file === null ? 0 : file, "utf8");
process.stdout.write(solc.compile(input, { import: readImport }) + "\n");
