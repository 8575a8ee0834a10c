// Ranges of versions as npm understands them, without a dependency: this runs before there is any.
'use strict';

const PARTIAL = /^[v=\s]*(\d+|[xX*])?(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

// [major, minor, patch] with undefined for what is left open; null if it is no version.
function partial(text) {
  const found = PARTIAL.exec(text.trim());
  if (!found) return null;
  const parts = [];
  for (const part of found.slice(1, 4)) {
    if (part === undefined || /[xX*]/.test(part)) break;
    parts.push(Number(part));
  }
  return { parts, pre: found[4] };
}

function parse(version) {
  const found = /^v?(\d+)\.(\d+)\.(\d+)(-.+)?$/.exec(version.trim());
  return found && !found[4] ? found.slice(1, 4).map(Number) : null;
}

function compare(a, b) {
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}

const low = (parts) => [0, 1, 2].map((i) => parts[i] ?? 0);
// The first version after everything that `parts` covers.
function after(parts) {
  if (parts.length === 0) return [Infinity, 0, 0];
  const next = low(parts);
  next[parts.length - 1] += 1;
  for (let i = parts.length; i < 3; i++) next[i] = 0;
  return next;
}

// [from, to): what one comparator allows.
function interval(text) {
  const found = /^(\^|~>?|>=|<=|>|<|=)?\s*(.*)$/.exec(text);
  const version = partial(found[2]);
  if (!version) return null;
  const { parts } = version;
  const from = low(parts);
  switch (found[1]) {
    case '^': {
      const fixed = parts.findIndex((part) => part > 0);
      const upto = fixed === -1 ? parts.length : fixed + 1;
      return [from, after(parts.slice(0, Math.max(1, upto)))];
    }
    case '~': case '~>': return [from, after(parts.slice(0, 2))];
    case '>=': return [from, [Infinity, 0, 0]];
    case '>': return [after(parts), [Infinity, 0, 0]];
    case '<': return [[0, 0, 0], from];
    case '<=': return [[0, 0, 0], after(parts)];
    default: return [from, after(parts)];
  }
}

// A list of alternatives, each a list of intervals; null if it is no range.
function range(text) {
  const alternatives = [];
  for (const alternative of text.split('||')) {
    let clean = alternative.trim().replace(/(\^|~>?|>=|<=|>|<|=)\s+/g, '$1');
    const hyphen = /^(\S+)\s+-\s+(\S+)$/.exec(clean);
    if (hyphen) clean = `>=${hyphen[1]} <=${hyphen[2]}`;
    const intervals = clean.split(/[\s,]+/).filter(Boolean).map(interval);
    if (intervals.includes(null)) return null;
    alternatives.push(intervals);
  }
  return alternatives;
}

function satisfies(version, alternatives) {
  return alternatives.some((intervals) =>
    intervals.every(([from, to]) => compare(version, from) >= 0 && compare(version, to) < 0));
}

// The newest version in the range. Lines with an even major version are supported for long and are
// preferred; undefined if none fits, null if the range cannot be read.
function newest(versions, text) {
  const alternatives = range(text);
  if (!alternatives) return null;
  const fitting = versions
    .map((version) => ({ version, parsed: parse(version) }))
    .filter(({ parsed }) => parsed && satisfies(parsed, alternatives))
    .sort((a, b) => compare(b.parsed, a.parsed));
  const chosen = fitting.find(({ parsed }) => parsed[0] % 2 === 0) ?? fitting[0];
  return chosen && chosen.version.replace(/^v/, '');
}

module.exports = { newest, range, satisfies, parse };
