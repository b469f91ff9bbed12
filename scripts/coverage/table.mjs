// The table of what was linked and what was not, as Markdown.

import { basename } from 'node:path'

/** As many archives as are named for a reason. */
const SHOWN = 6

/**
 * What came of one archive.
 *
 * @typedef {import('./attempt.mjs').Answer & { archive: string, isAlone: boolean, reference: import('./compare.mjs').Reference }} Result
 */

/**
 * Those that the system's linkers load count: what they do not load either is no measure.
 *
 * @param {Result[]} results
 * @param {string[]} missing packages
 */
export function table(results, missing) {
  const measured = results.filter(result => result.reference.loads)
  const linked = measured.filter(result => result.outcome === 'linked')
  const crashed = results.filter(result => result.outcome === 'crash')
  const share = measured.length === 0 ? 0 : (100 * linked.length) / measured.length
  const rows = [
    ['archives looked at', results.length],
    ['of those, link alone', results.filter(result => result.isAlone).length],
    ['of those, link alone or with what they need', results.filter(result => result.outcome === 'linked').length],
    ['`ld -r`, `gcc -shared` and `dlopen` load', measured.length],
    ['of those, link', `${linked.length} (${share.toFixed(1)} %)`],
    ['crash or hang, at any stage', crashed.length],
  ]
  return `---
title: Coverage
category: Guides
---

# Coverage

What \`npm run coverage\` found: every archive of the machine is linked whole in a process of its own, alone and then with the libraries
that define what it lacks, freed, linked once more in a worker that ends, and held when the process exits. The measure is what the system does with the same members: \`ld -r\`, \`gcc -shared\`
and \`dlopen\`.

${lines(['', 'archives'], rows)}

Why the others are refused:

${lines(['reason', 'archives', 'that the system loads', 'such as'], reasons(results))}
${missing.length > 0 ? `\nPackages of the list that were not installed: ${missing.join(', ')}.\n` : ''}`
}

/** @param {Result[]} results */
function reasons(results) {
  /** @type {Map<string, Result[]>} */
  const groups = new Map()
  for (const result of results.filter(result => result.outcome !== 'linked')) {
    const reason = result.outcome === 'undefined' ? 'undefined symbols' : (result.reason ?? result.outcome)
    groups.set(reason, [...(groups.get(reason) ?? []), result])
  }
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length)
  return sorted.map(([reason, group]) => {
    const names = group.slice(0, SHOWN).map(result => `\`${basename(result.archive)}\``)
    const loads = group.filter(result => result.reference.loads).length
    return [reason, group.length, loads, names.join(', ') + (group.length > SHOWN ? ', …' : '')]
  })
}

/**
 * @param {string[]} head
 * @param {(string | number)[][]} rows
 */
function lines(head, rows) {
  const all = [head, head.map(() => '---'), ...rows]
  return all.map(row => `| ${row.join(' | ')} |`).join('\n')
}
