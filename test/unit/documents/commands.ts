import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readArguments } from '../../../src/cli/arguments.js'
import { COMMANDS } from '../../../src/cli/program.js'
import { COMMON_OPTIONS } from '../../../src/cli/session.js'
import { ROOT } from '../examples/programs.js'
import { read } from './documents.js'

/** Programs that are not ours: whoever reads a page has them, or knows that he needs them. */
const OTHERS = new Set(
  'cat cd chmod chown cp curl docker echo getent install journalctl kill ls mkdir rsync ss systemctl tar tee ufw useradd'.split(
    ' ',
  ),
)

/** Words that only say how a command is run. */
const PREFIXES = new Set(['sudo', 'nice', 'time'])

/** What npm does by itself. */
const NPM_COMMANDS = new Set(['audit', 'ci', 'install', 'pack', 'test'])

/** Tools that are called by their names, with the packages that they are of. */
const TOOLS: Readonly<Record<string, string>> = { biome: '@biomejs/biome', vitest: 'vitest' }

const { scripts, devDependencies } = JSON.parse(read('package.json')) as Readonly<
  Record<'scripts' | 'devDependencies', Record<string, string>>
>

/** The commands of a line or more of shell: words each, without what changes only where they read, write and wait. */
export function commandsOf(shell: string): string[][] {
  const lines = shell.replace(/\\\n\s*/g, ' ').split('\n')
  return lines
    .map((line) => line.replace(/(^|\s)#.*$/, ''))
    .flatMap((line) => splitOutsideQuotes(line))
    .map(wordsOf)
    .filter((words) => words.length > 0)
}

/**
 * What is wrong with a command; nothing if it is one that there is.
 *
 * @param folder - of the document, from which files may be named as from the repository's root
 */
export function faultOf(words: readonly string[], folder = '.'): string | undefined {
  const [name = '', first = '', ...rest] = words
  if (name === 'npm') return faultOfNpm(first, rest)
  if (name === 'npx') return first === 'xorbit' ? faultOfXorbit(rest) : faultOfTool(first, rest, folder)
  if (name === 'node') return faultOfFile([first, ...rest].find((word) => !word.startsWith('-')) ?? '', folder)
  return OTHERS.has(name) ? undefined : `${name} is no command that is known here`
}

/** A tool of the repository: the files that it is told to take have to be there. */
function faultOfTool(name: string, rest: readonly string[], folder: string): string | undefined {
  if (!Object.hasOwn(TOOLS, name)) return `npx ${name} is none of ours`
  if (!((TOOLS[name] as string) in devDependencies)) return `${name} is no dependency`
  return rest.filter((word) => word.includes('/')).map((path) => faultOfFile(path, folder))[0]
}

function faultOfFile(path: string, folder: string): string | undefined {
  const isThere = ['.', folder].some((base) => existsSync(join(ROOT, base, path)))
  return isThere ? undefined : `there is no ${path}`
}

function faultOfNpm(command: string, rest: readonly string[]): string | undefined {
  if (command !== 'run') return NPM_COMMANDS.has(command) ? undefined : `npm has no ${command}`
  const script = rest.find((word) => !word.startsWith('-')) ?? ''
  return Object.hasOwn(scripts, script) ? undefined : `there is no script ${script}`
}

/** What the program would say to these arguments, by its own parser. */
export function faultOfXorbit([name = '', ...argv]: readonly string[]): string | undefined {
  if (name === '--help' || name === '--version') return undefined
  const command = COMMANDS.find((one) => one.name === name)
  if (command === undefined) return `xorbit has no command ${name}`
  try {
    readArguments(argv, command, { ...command.options, ...COMMON_OPTIONS })
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function splitOutsideQuotes(line: string): string[] {
  const quoted: string[] = []
  const plain = line.replace(/'[^']*'|"[^"]*"/g, (text) => `\0${quoted.push(text) - 1}\0`)
  return plain
    .split(/&&|\|\||[;|&]/)
    .map((part) => part.replace(/\s*[<>]+\s*\S+/g, ''))
    .map((part) => part.replace(/\0(\d+)\0/g, (_, i) => quoted[Number(i)] as string))
}

function wordsOf(command: string): string[] {
  const words = [...command.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) => word.replace(/['"]/g, ''))
  while (words.length > 0 && (/^\w+=/.test(words[0] as string) || PREFIXES.has(words[0] as string))) words.shift()
  return words
}
