import { existsSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
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

/** Options of npm's own, and whether they take a folder. Any other one before `--` is swallowed by it. */
const NPM_OPTIONS: Readonly<Record<string, boolean>> = { '--global': false, '--prefix': true, '--silent': false }

/** Tools that are called by their names, with the packages that they are of. */
const TOOLS: Readonly<Record<string, string>> = { biome: '@biomejs/biome', vitest: 'vitest' }

const { name, scripts, dependencies, devDependencies, peerDependencies } = JSON.parse(read('package.json')) as {
  readonly name: string
} & Readonly<Record<'scripts' | 'dependencies' | 'devDependencies' | 'peerDependencies', Record<string, string>>>

/** What a document may tell its reader to install. */
const INSTALLED = new Set([name, ...[dependencies, devDependencies, peerDependencies].flatMap(Object.keys)])

/** What `npm pack` makes, and what stands for its path. */
const PACKED = /^(?:PATH|(?:\.{1,2}\/)*xorbit-[\d.*]+\.?tgz)$/

/**
 * The commands of a line or more of shell: words each, without what changes only where they read, write and wait. What is
 * run for another one's words comes after it.
 */
export function commandsOf(shell: string): string[][] {
  const lines = shell.replace(/\\\n\s*/g, ' ').split('\n')
  return lines
    .map((line) => line.replace(/(^|\s)#.*$/, ''))
    .flatMap((line) => {
      const { outer, nested } = substitutionsOf(line)
      return [...splitOutsideQuotes(outer).map(wordsOf), ...nested.flatMap(commandsOf)]
    })
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
  if (name === 'node') return faultOfProgram([first, ...rest], folder)
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

/** A program of the repository: it is there, and its options are. Those before its name are Node's. */
function faultOfProgram(words: readonly string[], folder: string): string | undefined {
  const at = words.findIndex((word) => !word.startsWith('-'))
  const path = words[at] ?? ''
  const base = ['.', folder].find((one) => existsSync(join(ROOT, one, path)))
  if (path === '' || base === undefined) return `there is no ${path}`
  return faultOfArguments(posix.join(base, path), words.slice(at + 1))
}

function faultOfNpm(command: string, rest: readonly string[]): string | undefined {
  const end = rest.includes('--') ? rest.indexOf('--') : rest.length
  const names: string[] = []
  for (let i = 0; i < end; i++) {
    const word = rest[i] as string
    if (!word.startsWith('-')) names.push(word)
    else if (!Object.hasOwn(NPM_OPTIONS, word)) return `npm ${command} has no ${word}`
    else if (NPM_OPTIONS[word]) {
      const fault = faultOfFile(rest[++i] ?? 'folder', '.')
      if (fault !== undefined) return fault
    }
  }
  if (command === 'run') return faultOfScript(names[0] ?? '', [...names.slice(1), ...rest.slice(end + 1)])
  if (!NPM_COMMANDS.has(command)) return `npm has no ${command}`
  const stranger = names.find((one) => !PACKED.test(one) && !INSTALLED.has(one.replace(/(?<=.)@.*/, '')))
  return command === 'install' && stranger !== undefined ? `${stranger} is no package that is known here` : undefined
}

/** A script of package.json: what it is given goes to the last program that it runs. */
function faultOfScript(script: string, argv: readonly string[]): string | undefined {
  if (!Object.hasOwn(scripts, script)) return `there is no script ${script}`
  const words = commandsOf(scripts[script] as string).at(-1) as string[]
  return words[0] === 'node' ? faultOfProgram([...words.slice(1), ...argv], '.') : undefined
}

/** Options are those of the usage text, with a value where it has one in capitals or figures. */
function faultOfArguments(path: string, argv: readonly string[]): string | undefined {
  const isBench = path === 'bench/run.js'
  const bench = isBench && argv[0] !== undefined && !argv[0].startsWith('-') ? argv[0] : 'all'
  const suite = `bench/suites/${bench}.js`
  if (bench !== 'all' && !existsSync(join(ROOT, suite))) return `there is no bench ${bench}`
  const usage = isBench ? usageOfBench(bench === 'all' ? '' : read(suite)) : usageOf(path)
  for (const [i, word] of argv.entries()) {
    if (!word.startsWith('-')) continue
    const [option = '', given] = word.split('=')
    const mentions = [...usage.matchAll(new RegExp(`(?<![\\w-])${option}(?![\\w-])( [A-Z0-9])?`, 'g'))]
    if (mentions.length === 0) return `${path} has no option ${option}`
    const hasValue = given !== undefined || /^[^-]/.test(argv[i + 1] ?? '')
    if (!hasValue && mentions.some(([, value]) => value !== undefined)) return `${option} of ${path} takes a value`
  }
  return undefined
}

/** The usage text of a program; where it has none, all of its text, in which an option stands that it looks for. */
function usageOf(path: string): string {
  const text = read(path)
  const [, elsewhere] = /import \{[^}]*\bUSAGE\b[^}]*\} from '([^']+)'/.exec(text) ?? []
  if (elsewhere !== undefined) return usageOf(posix.join(dirname(path), elsewhere))
  const usages = text.match(/(?:USAGE|HELP) = (?:`[^`]*`|'[^']*')|(?:console\.error\('[^']*'\)\s*)+/g) ?? []
  const usage = usages.filter((one) => /usage: |--/.test(one)).join('\n')
  return usage === '' ? text : `${usage}${/\bhelp\b/.test(text) ? ' --help' : ''}`
}

/** Those of all benches stand in the tool, those of one beside its cases. */
function usageOfBench(suite: string): string {
  const texts = [/COMMON = \{.*?^\}/ms.exec(read('bench/tool/options.js')), /^ {2}options: \{.*?^ {2}\}/ms.exec(suite)]
  const names = texts.flatMap((text) => [
    ...(text?.[0] ?? '').matchAll(/^ +'?([\w-]+)'?: \{(?!.*'boolean')|^ +(\w+): \{/gm),
  ])
  return names.map(([, withValue, flag]) => (withValue === undefined ? `--${flag}` : `--${withValue} VALUE`)).join('\n')
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

/** A line with a word in the place of each command whose output it takes, and those commands. */
function substitutionsOf(line: string): { outer: string; nested: string[] } {
  const nested: string[] = []
  let outer = ''
  let quote = ''
  for (let i = 0; i < line.length; i++) {
    const rest = line.slice(i)
    const sign = rest[0] as string
    const opening = quote === "'" ? undefined : /^(?:[$<>]\((?!\()|`)/.exec(rest)?.[0]
    if (opening !== undefined) {
      const length = opening === '`' ? rest.indexOf('`', 1) : closingOf(rest)
      if (length < 0) throw new Error(`${line}: ${opening} without its end`)
      nested.push(rest.slice(opening.length, length))
      outer += 'OUTPUT'
      i += length
      continue
    }
    if (sign === quote) quote = ''
    else if (quote === '' && /['"]/.test(sign)) quote = sign
    outer += sign
  }
  return { outer, nested }
}

/** Where the parenthesis ends that opens first. */
function closingOf(text: string): number {
  let depth = 0
  for (const { 0: sign, index } of text.matchAll(/[()]/g)) {
    depth += sign === '(' ? 1 : -1
    if (depth === 0) return index
  }
  return -1
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
