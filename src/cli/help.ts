import type { Command, Operand, OptionSpecs } from './command.js'

/** How wide a help is, in characters. */
const WIDTH = 100

/** The help of the whole program. */
export function programHelp(commands: readonly Command[]): string {
  const lines = commands.map(({ name, operands, summary }) => [usage(name, operands), summary] as const)
  return [
    'xorbit: a node of a distributed hash table, and what can be done with one.',
    '',
    'Usage: xorbit COMMAND [options]',
    '',
    ...columns(lines),
    '',
    'xorbit COMMAND --help tells more of each. xorbit --version prints the version.',
    '',
    'Data go to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 wrong arguments,',
    '3 not found, 4 nobody answered, 5 another value is held, 130 or 143 interrupted.',
    '',
  ].join('\n')
}

/** The help of one command. */
export function commandHelp(command: Command, specs: OptionSpecs): string {
  const { name, operands, summary, details, examples } = command
  return [
    `xorbit ${name}: ${summary}.`,
    '',
    `Usage: xorbit ${usage(name, operands)} [options]`,
    ...(details.length > 0 ? ['', ...details.flatMap((text) => wrap(text, WIDTH))] : []),
    '',
    'Options:',
    ...columns(Object.entries(specs).map(([name, { value, short, says }]) => [option(name, value, short), says])),
    '',
    'Examples:',
    ...examples.flatMap(([line, does]) => [`  ${line}`, ...wrap(does, WIDTH - 6).map((text) => `      ${text}`)]),
    '',
  ].join('\n')
}

function usage(name: string, operands: readonly Operand[]): string {
  return [name, ...operands.map(({ name, isOptional }) => (isOptional ? `[${name}]` : name))].join(' ')
}

function option(name: string, value: string | undefined, short: string | undefined): string {
  return `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`
}

/** What stands at the left, and what it means at the right of it. */
function columns(lines: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.flatMap(([left, right]) =>
    wrap(right, WIDTH - width - 4).map((text, i) => `  ${(i === 0 ? left : '').padEnd(width)}  ${text}`),
  )
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
