// Lists the commands of Heroku's command line with their aliases, for heroku-commands.txt:
//
//   npm pack heroku && tar xzf heroku-*.tgz && node heroku-commands.mjs package/oclif.manifest.json > heroku-commands.txt
import { readFileSync } from "node:fs";

const { commands } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const names = Object.entries(commands).flatMap(([id, of]) => [id, ...(of.aliases ?? []), ...(of.hiddenAliases ?? [])]);
console.log([...new Set(names)].sort().join("\n"));
