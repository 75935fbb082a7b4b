import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../examples/programs.js'
import { BLOCKS, namesIn, read } from './documents.js'

const FOLDER = 'docs/errors'

/** What `src/errors.ts` says of each code, in the order that it has them, and where it says that there is more. */
const comments = [
  ...read('src/errors.ts').matchAll(/\/\*\*\s+(?:\* )?(.*?)\s+(?:\* )?\[More\]\((.*?)\)\s+\*\/\s+\| '(\w+)'/g),
].map(([, says = '', more = '', code = '']) => ({ says, more, code }))
const meanings = new Map(comments.map(({ code, says }) => [code, says]))
const codes = [...meanings.keys()]

describe('error codes', () => {
  test('are found with what they mean', () => {
    expect(codes).toEqual(namesIn('src/errors.ts', /'(ERR_\w+)'$/gm))
    expect(codes.length).toBeGreaterThan(20)
  })

  test('lead to their pages', () => {
    expect(comments.map(({ more }) => more)).toEqual(codes.map((code) => `../${FOLDER}/${code}.md`))
  })

  test('have a page each, and no page is without a code', () => {
    expect(readdirSync(join(ROOT, FOLDER)).sort()).toEqual(codes.map((code) => `${code}.md`).sort())
  })

  test('are pages of the site', () => {
    const { projectDocuments } = JSON.parse(read('typedoc.json')) as { projectDocuments: string[] }
    expect(projectDocuments).toContain(`${FOLDER}/*.md`)
  })

  test('mean the same in the README', () => {
    const rows = [...read('README.md').matchAll(/^\| \[`(ERR_\w+)`\]\((.*?)\) \| (.*) \|$/gm)]
    const expected = codes.map((code) => [code, `${FOLDER}/${code}.md`, meanings.get(code)])
    expect(rows.map(([, ...cells]) => cells).sort()).toEqual(expected.sort())
  })
})

describe.each(codes)('the page of %s', (code) => {
  const path = `${FOLDER}/${code}.md`
  const page = read(path)

  test('says what it means, when it comes and what to do, in 15 to 40 lines', () => {
    const paragraphs = page.split('\n\n')
    expect(paragraphs.slice(0, 2)).toEqual([`# ${code}`, meanings.get(code)])
    expect(paragraphs[2]).toMatch(/^\*\*When it comes\.\*\* ./)
    expect(paragraphs[3]).toMatch(/^\*\*What to do\.\*\* ./)
    const lines = page.trimEnd().split('\n').length
    expect(lines).toBeGreaterThanOrEqual(15)
    expect(lines).toBeLessThanOrEqual(40)
  })

  test('has a program that shows it', () => {
    const blocks = BLOCKS.filter((block) => block.path === path)
    expect(blocks.map(({ language }) => language)).toEqual(['js', 'text'])
    // What the program really prints is compared with this in programs.test.ts.
    expect(blocks[1]?.text).toMatch(new RegExp(`\\b${code}\\b`))
    // It comes from the library: the program itself nowhere says it, but to tell it from others.
    expect(blocks[0]?.text.replace(/ === '\w+'/g, '')).not.toContain(code)
  })
})
