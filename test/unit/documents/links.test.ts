import { existsSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../examples/programs.js'
import { anchorsOf, DOCUMENTS, proseOf, read } from './documents.js'

interface Link {
  readonly from: string
  /** Empty where the link stays in its document. */
  readonly file: string
  readonly anchor: string | undefined
}

function linksOf(from: string, document: string): Link[] {
  return [...proseOf(document).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].map(
    ([, file, anchor]) => ({
      from,
      file: file as string,
      anchor,
    }),
  )
}

function isBroken({ from, file, anchor }: Link): boolean {
  const target = file === '' ? from : posix.join(dirname(from), file)
  if (!existsSync(join(ROOT, target))) return true
  return anchor !== undefined && !(target.endsWith('.md') && anchorsOf(read(target)).has(anchor))
}

function describeLink({ from, file, anchor }: Link): string {
  return `${from}: ${file}${anchor === undefined ? '' : `#${anchor}`}`
}

describe('links', () => {
  test('of all documents lead to a file, and to a heading in it', () => {
    const links = DOCUMENTS.flatMap((path) => linksOf(path, read(path)))
    expect(links.length).toBeGreaterThan(100)
    expect(links.filter(isBroken).map(describeLink)).toEqual([])
  })

  test('that lead nowhere are found', () => {
    const document = '# A b\n\n[a](#a-b) [b](#b) [c](none.md) [d](SECURITY.md#none) `[e](none.md)` [f](src/dht.ts#x)'
    const broken = linksOf('README.md', document).filter((link) => link.anchor !== 'a-b' && isBroken(link))
    expect(broken.map(describeLink)).toEqual([
      'README.md: #b',
      'README.md: none.md',
      'README.md: SECURITY.md#none',
      'README.md: src/dht.ts#x',
    ])
    expect(anchorsOf(document)).toEqual(new Set(['a-b']))
  })

  test('lead to every document from the README, straight or by others', () => {
    const seen = new Set(['README.md'])
    for (const path of seen) {
      for (const { file } of linksOf(path, read(path))) {
        const target = posix.join(dirname(path), file)
        if (DOCUMENTS.includes(target)) seen.add(target)
      }
    }
    expect(DOCUMENTS.filter((path) => !seen.has(path))).toEqual([])
  })
})
