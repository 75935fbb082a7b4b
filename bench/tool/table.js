// @ts-check
// Reports as text, for terminals and for the page.

/** @import { BenchReport, Check, Table } from './suites.js' */

/**
 * A number as people read it: four digits that count, thousands set apart.
 * @param {string | number | null | undefined} value - null is what JSON makes of what is no number
 */
export function cell(value) {
  if (typeof value === 'string') return value
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size >= 1000 || Number.isInteger(value)) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(size < 0.001 ? 2 : size >= 100 ? 4 : 3)))
}

/** @param {Table} table */
export function asText({ title, columns, rows }) {
  const lines = [columns, ...rows.map((row) => row.map(cell))]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)))
  const text = lines.map((line) =>
    line
      .map((each, i) => (i === 0 ? each.padEnd(widths[i] ?? 0) : each.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return [title, ...text.map((line) => `  ${line}`)].join('\n')
}

/** @param {Table} table */
export function asMarkdown({ title, columns, rows }) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.map((each) => each.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = `|${columns.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`
  return [`**${title}**`, '', line(columns), rule, ...rows.map((row) => line(row.map(cell)))].join('\n')
}

/** @param {Check} check */
export function checkLine({ name, value, bound, met }) {
  return `${met ? 'met   ' : 'MISSED'} ${name}: ${cell(value)} (${bound})`
}

/**
 * All of a report but its plots.
 * @param {BenchReport} report
 */
export function reportText({ tables = [], checks = [], notes = [] }) {
  const parts = tables.map(asText)
  if (checks.length > 0) parts.push(['Targets', ...checks.map((check) => `  ${checkLine(check)}`)].join('\n'))
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join('\n'))
  return parts.join('\n\n')
}
