// Reads package.json and says, as shell assignments, what there is to do.
//   node plan.js package BUILD_DIR
//   node plan.js newest RANGE < JSON list of versions
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const semver = require('./semver.js');

const DEFAULT_NODE = '22.x';

// One word for a shell that sources the output, whatever is in it.
const quote = (value) => `'${String(value).replace(/'/g, `'\\''`).replace(/[\r\n]/g, ' ')}'`;

// What npm reads of package.json when it installs: packages, and scripts that it then runs.
const PACKAGES = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies', 'workspaces'];
const SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare'];

// Whether npm would have nothing to do. Starting it takes half a second.
function isComplete(manifest, build, locks) {
  const isEmpty = (name) => Object.keys(Object(manifest[name])).length === 0;
  if (!PACKAGES.every(isEmpty) || SCRIPTS.some((name) => name in Object(manifest.scripts))) return false;
  if (['binding.gyp', 'node_modules'].some((name) => fs.existsSync(path.join(build, name)))) return false;
  // If a lock file does not match, npm says so.
  return locks.every((name) => {
    try {
      const lock = JSON.parse(fs.readFileSync(path.join(build, name), 'utf8'));
      const packages = Object.keys(Object(lock.packages)).filter((name) => name !== '');
      return packages.length === 0 && Object.keys(Object(lock.dependencies)).length === 0;
    } catch {
      return false;
    }
  });
}

function describe(build) {
  const has = (name) => fs.existsSync(path.join(build, name));
  let manifest;
  try {
    manifest = JSON.parse(fs.readFileSync(path.join(build, 'package.json'), 'utf8').replace(/^\ufeff/, ''));
    if (manifest === null || typeof manifest !== 'object' || Array.isArray(manifest)) throw new Error('it is not an object');
  } catch (error) {
    console.error(` !     package.json cannot be read: ${error.message}`);
    process.exit(1);
  }
  const text = (value) => (typeof value === 'string' ? value.trim() : '');
  const engines = manifest.engines ?? {};
  const scripts = manifest.scripts ?? {};
  const [manager, version] = text(manifest.packageManager).split('+')[0].split('@');
  let tool = 'npm';
  if (has('yarn.lock')) tool = 'yarn';
  else if (has('pnpm-lock.yaml')) tool = 'pnpm';
  else if (!has('package-lock.json') && !has('npm-shrinkwrap.json') && ['yarn', 'pnpm'].includes(manager)) tool = manager;
  const locks = ['package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml'].filter(has);
  const wanted = (name) => text(engines[name]) || (manager === name ? version ?? '' : '');
  const script = (name) => (text(scripts[name]) ? 'yes' : '');
  return {
    engines_node: text(engines.node),
    range_node: ['', '*', 'x', 'latest', 'lts/*', 'lts', 'node'].includes(text(engines.node)) ? DEFAULT_NODE : text(engines.node),
    engines_npm: wanted('npm'),
    engines_yarn: wanted('yarn'),
    engines_pnpm: wanted('pnpm'),
    tool,
    locks: locks.join(' '),
    // Yarn 2 and later write another kind of lock file.
    berry: tool === 'yarn' && (has('.yarnrc.yml') || /^[2-9]/.test(wanted('yarn'))) ? 'yes' : '',
    is_complete: tool === 'npm' && isComplete(manifest, build, locks) ? 'yes' : '',
    dev_dependencies: Object.keys(manifest.devDependencies ?? {}).length ? 'yes' : '',
    has_start: script('start'),
    has_prebuild: script('heroku-prebuild'),
    has_postbuild: script('heroku-postbuild'),
    has_build: script('build'),
    has_cleanup: script('heroku-cleanup'),
    dangerous: /^(\*|>(?!.*<))/.test(text(engines.node)) ? 'yes' : '',
  };
}

const [, , verb, argument] = process.argv;
if (verb === 'package') {
  for (const [name, value] of Object.entries(describe(argument))) console.log(`${name}=${quote(value)}`);
} else {
  const list = JSON.parse(fs.readFileSync(0, 'utf8'));
  const found = semver.newest([].concat(list), argument);
  if (found === null) process.exit(2);
  if (found === undefined) process.exit(3);
  console.log(found);
}
