// Reads package.json and says, as shell assignments, what there is to do.
//   node plan.js package BUILD_DIR
//   node plan.js scripted BUILD_DIR
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

// The manifests of the app's packages besides its own. Which of them are workspaces is up to the package manager.
function others(folder, depth = 0) {
  const found = [];
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules' && depth < 8) found.push(...others(at, depth + 1));
    else if (entry.isFile() && entry.name === 'package.json' && depth > 0) found.push(at);
  }
  return found;
}

function read(file) {
  try {
    return Object(JSON.parse(fs.readFileSync(file, 'utf8').replace(/^\ufeff/, '')));
  } catch {
    return {};
  }
}

// Whether an installation reads nothing of the app but manifests, lock files and settings: no package is a folder or
// an archive in it, and none of its own scripts is run.
function isReusable(manifests, build) {
  const isLocal = (spec) => /^(file|link|portal|exec):|^[./~]/.test(String(spec));
  const specs = manifests.flatMap((manifest) =>
    [...PACKAGES, 'resolutions', 'overrides'].filter((name) => name !== 'workspaces').flatMap((name) => Object.values(Object(manifest[name]))));
  if (specs.some(isLocal)) return false;
  if (manifests.some((manifest) => SCRIPTS.some((name) => name in Object(manifest.scripts)))) return false;
  return !['binding.gyp', 'node_modules', '.pnpmfile.cjs', '.pnpmfile.mjs'].some((name) => fs.existsSync(path.join(build, name)));
}

// Packages whose install scripts compile or fetch a part of themselves, and do not look at the app.
const SELF_CONTAINED = new Set(['@parcel/watcher', '@swc/core', 'argon2', 'bcrypt', 'better-sqlite3', 'bufferutil', 'canvas', 'core-js',
  'core-js-pure', 'es5-ext', 'esbuild', 'fsevents', 'lmdb', 'msgpackr-extract', 'protobufjs', 'sharp', 'sqlite3', 'unrs-resolver',
  'utf-8-validate']);

// The folders of the packages in a folder node_modules.
function packages(modules) {
  const list = (folder) => fs.existsSync(folder) ? fs.readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()) : [];
  return list(modules).flatMap((entry) => {
    const at = path.join(modules, entry.name);
    if (entry.name === '.pnpm') return list(at).flatMap((one) => packages(path.join(at, one.name, 'node_modules')));
    const found = entry.name.startsWith('@') ? list(at).map((one) => path.join(at, one.name)) : entry.name.startsWith('.') ? [] : [at];
    return found.flatMap((folder) => [folder, ...packages(path.join(folder, 'node_modules'))]);
  });
}

// The first installed package with an install script that may read files of the app, such as a schema.
function scripted(build) {
  const roots = [build, ...others(build).map(path.dirname)];
  const has = (manifest) => ['preinstall', 'install', 'postinstall'].some((name) => name in Object(manifest.scripts));
  const found = roots.flatMap((root) => packages(path.join(root, 'node_modules')))
    .map((folder) => read(path.join(folder, 'package.json')))
    .find((manifest) => has(manifest) && !SELF_CONTAINED.has(manifest.name));
  return found ? found.name : '';
}

// Folders below the app that package.json wants kept between builds.
function cacheDirectories(manifest) {
  const list = [].concat(manifest.cacheDirectories ?? manifest.cache_directories ?? []);
  const isInside = (name) => typeof name === 'string' && /^[^\s/][^\r\n]*$/.test(name) && !name.split('/').includes('..');
  return list.filter(isInside).map((name) => path.normalize(name)).filter((name) => !/^(\.|node_modules)\/?$/.test(name));
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
  const locks = ['npm-shrinkwrap.json', 'package-lock.json', 'yarn.lock', 'pnpm-lock.yaml'].filter(has)
    // npm does not read the other one then.
    .filter((name) => name !== 'package-lock.json' || !has('npm-shrinkwrap.json'));
  const isWorkspace = 'workspaces' in manifest || has('pnpm-workspace.yaml');
  const manifests = [manifest, ...(isWorkspace ? others(build).map(read) : [])];
  const wanted = (name) => text(engines[name]) || (manager === name ? version ?? '' : '');
  const script = (name) => (text(scripts[name]) ? 'yes' : '');
  const isBerry = tool === 'yarn' && (has('.yarnrc.yml') || /^[2-9]/.test(wanted('yarn')));
  const linker = has('.yarnrc.yml') && /^nodeLinker:\s*["']?([a-z-]+)/m.exec(fs.readFileSync(path.join(build, '.yarnrc.yml'), 'utf8'));
  return {
    engines_node: text(engines.node),
    range_node: ['', '*', 'x', 'latest', 'lts/*', 'lts', 'node'].includes(text(engines.node)) ? DEFAULT_NODE : text(engines.node),
    engines_npm: wanted('npm'),
    engines_yarn: wanted('yarn'),
    engines_pnpm: wanted('pnpm'),
    tool,
    locks: locks.join(' '),
    // Yarn 2 and later write another kind of lock file.
    berry: isBerry ? 'yes' : '',
    pnp: isBerry && (process.env.YARN_NODE_LINKER ?? (linker ? linker[1] : 'pnp')) === 'pnp' ? 'yes' : '',
    is_complete: tool === 'npm' && isComplete(manifest, build, locks) ? 'yes' : '',
    dev_dependencies: manifests.some((one) => Object.keys(Object(one.devDependencies)).length) ? 'yes' : '',
    is_reusable: locks.length > 0 && isReusable(manifests, build) ? 'yes' : '',
    cache_directories: cacheDirectories(manifest).join(':'),
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
} else if (verb === 'scripted') {
  console.log(scripted(argument));
} else {
  const list = JSON.parse(fs.readFileSync(0, 'utf8'));
  const found = semver.newest([].concat(list), argument);
  if (found === null) process.exit(2);
  if (found === undefined) process.exit(3);
  console.log(found);
}
