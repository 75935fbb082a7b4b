// examples/README.md, held against the examples that are there.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../unit/examples/programs.js'

const FOLDER = join(ROOT, 'examples')
/** Holds the parts of file-demo.js. */
const PARTS = 'demo'

const index = readFileSync(join(FOLDER, 'README.md'), 'utf8')
const commands = [...index.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, text]) => (text as string).trim().split('\n'))

/** The program of each example, by what it is called there. */
const programs = readdirSync(FOLDER, { withFileTypes: true }).flatMap((entry) => {
  if (entry.isDirectory()) return entry.name === PARTS ? [] : [`${entry.name}/${entry.name}.js`]
  return entry.name.endsWith('.js') ? [entry.name] : []
})

test('the examples are found', () => {
  expect(programs).toEqual(expect.arrayContaining(['bootstrap-node/bootstrap-node.js', 'names.js']))
})

test.each(programs)('%s is in the index, with commands that it takes', (program) => {
  expect(index).toContain(`[${program.replace(/\/.*/, '')}](${program.replace(/\/.*/, '/README.md')})`)
  const text = readFileSync(join(FOLDER, program), 'utf8')
  const own = commands.filter((command) => command.startsWith(`node ${program}`))
  if (program !== 'file-demo.js') expect(own.length).toBeGreaterThan(0)
  const [, usage = text] = /const USAGE = `(.*?)`/s.exec(text) ?? []
  for (const command of own) {
    const words = command.split(' ').slice(2)
    for (const option of words.filter((word) => word.startsWith('--'))) expect(usage).toContain(option)
    // Where it has commands of its own, it is given one of them.
    const known = [...usage.matchAll(/^(?:usage:)? +node \S+ ([a-z]+)(?: |$)/gm)].map(([, name]) => name)
    if (known.length > 1) expect(known).toContain(words[0])
  }
})
