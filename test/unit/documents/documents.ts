import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../examples/programs.js'

/** A fenced block of a document. */
export interface Block {
  /** The document, from the repository's root. */
  readonly path: string
  /** The line that its text begins at. */
  readonly line: number
  readonly language: string
  readonly text: string
  /** The paragraph above it, or the block that ends there. */
  readonly above: string
  /** The block that follows it with nothing between. */
  readonly next?: Block
}

/** All documents, by their paths from the repository's root. What typedoc makes is none. */
export const DOCUMENTS: readonly string[] = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...markdownIn('docs'),
  ...markdownIn('examples'),
]

/** Every fenced block of every document. */
export const BLOCKS: readonly Block[] = DOCUMENTS.flatMap((path) => blocksOf(path, read(path)))

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** The names that a pattern's group has in a part of a file. */
export function namesIn(path: string, pattern: RegExp, part = /.*/s): string[] {
  const text = part.exec(read(path))?.[0] ?? ''
  return [...text.matchAll(pattern)].map(([, name]) => name as string)
}

/** The first cells of a document's tables. */
export function firstCells(path: string): string {
  return namesIn(path, /^\| ([^|]+) \|/gm).join('\n')
}

export function blocksOf(path: string, document: string): Block[] {
  const blocks: Block[] = []
  // From the last, so that each knows the one that follows.
  const found = [...document.matchAll(/^```(\S*)\n(.*?)^```$/gms)].reverse()
  for (const match of found) {
    const [whole, language = '', text = ''] = match
    const before = document.slice(0, match.index)
    const after = document.slice(match.index + whole.length)
    const [next] = blocks
    const line = before.split('\n').length + 1
    const isNext = next !== undefined && after.startsWith('\n\n```')
    const above = before.trimEnd().split('\n\n').at(-1) ?? ''
    blocks.unshift({ path, line, language, text, above, ...(isNext && { next }) })
  }
  return blocks
}

/**
 * The lines of a document that make a block which is none of `blocksOf`, and so is not looked at: fences that are indented,
 * quoted, of tildes or with more than a language; HTML's own blocks; and what four spaces make one, lists not excepted.
 *
 * @returns each with the anchor of the heading above it
 */
export function strayLines(path: string, document: string): string[] {
  const lines = document.split('\n')
  const spans = blocksOf(path, document).map(
    ({ line, text }) => [line - 1, line + text.split('\n').length - 1] as const,
  )
  return lines.flatMap((text, i) => {
    const isEdge = spans.some((span) => span.includes(i + 1))
    const isInside = spans.some(([first, last]) => first < i + 1 && i + 1 < last)
    const isFence = /^[\s>*+\d.)-]*(?:```|~~~)/.test(text)
    const isIndented = /^(?: {4}| {0,3}\t)\s*\S/.test(text) && !/\S/.test(lines[i - 1] ?? '')
    // A fence inside of a block is of one whose own end is missing.
    const isStray = (isFence && !isEdge) || (!isInside && (isIndented || /<pre\b/i.test(text)))
    return isStray ? [`${headingAbove(path, document, i + 1)}: ${text.trim()}`] : []
  })
}

/** The place of a line as a link has it, which stays the same as long as its heading does. */
export function headingAbove(path: string, document: string, line: number): string {
  const anchors = [
    ...anchorsOf(
      document
        .split('\n')
        .slice(0, line - 1)
        .join('\n'),
    ),
  ]
  return `${path}#${anchors.at(-1) ?? ''}`
}

/** A document without its blocks and its code, in which no link is one. */
export function proseOf(document: string): string {
  return document.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ' '))
}

/** The anchors of a document's headings, as GitHub makes them. */
export function anchorsOf(document: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of document.replace(/^```.*?^```$/gms, '').matchAll(/^#{1,6} (.+)$/gm)) {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-')
    let unique = anchor
    for (let i = 1; anchors.has(unique); i++) unique = `${anchor}-${i}`
    anchors.add(unique)
  }
  return anchors
}

function markdownIn(path: string): string[] {
  return readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' })
    .map((name) => `${path}/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.md') && !name.startsWith('docs/api/') && !name.includes('/node_modules/'))
    .sort()
}
