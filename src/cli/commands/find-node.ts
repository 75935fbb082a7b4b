import type { FindNodeResult, LookupStep } from '../../index.js'
import { DhtError, toHex } from '../../index.js'
import { pointFrom } from '../arguments.js'
import type { Call, Command } from '../command.js'
import { counted, formatMs, formatTable, sharedBits } from '../formats.js'
import { SESSION_OPTIONS, withSession } from '../session.js'
import { STATUS } from '../status.js'

/** Hex digits of an id that tell nodes apart for people. */
const SHORT_DIGITS = 12

/** Shows a lookup hop by hop. */
export const findNodeCommand: Command = {
  name: 'find-node',
  operands: [{ name: 'TARGET', isOptional: true }],
  summary: 'finds the nodes nearest to a point, and shows each hop',
  details: [
    'TARGET is 64 hex digits, or any other text, whose SHA-256 is taken; without it, a random point. One line for each node that was asked, as its answer came: hop 1 was in the own routing table, hop 2 was named by one of those, and so on; shared bits are those that its id and the target begin with in common; what it brought are contacts that were not known before. The nearest nodes follow.',
  ],
  options: SESSION_OPTIONS,
  examples: [['xorbit find-node hello', 'shows who would keep what has the SHA-256 of hello as its key']],
  async run(call: Call): Promise<number> {
    const { given, output, signal } = call
    const text = given.operands[0]
    const target = text === undefined ? crypto.getRandomValues(new Uint8Array(32)) : pointFrom(text)
    return withSession(call, async (dht) => {
      const steps: LookupStep[] = []
      const found = await dht.findNode(target, { signal, onStep: (step) => steps.push(step) })
      if (output.isJson) {
        const traced = steps.map((step) => ({ ...step, sharedBits: sharedBits(step.contact.id, target) }))
        await output.json({ target, ...found, steps: traced })
      } else {
        await output.line(`${traceTable(steps, target)}\n\n${closestTable(found, target)}`)
      }
      const { closest, hops, messages, elapsedMs } = found
      output.say(
        `${counted(closest.length, 'nearest node')} after ${counted(hops, 'hop')}, ${counted(messages, 'message')}, ${formatMs(elapsedMs)}`,
      )
      return STATUS.done
    })
  },
}

function traceTable(steps: readonly LookupStep[], target: Uint8Array): string {
  const rows = steps.map(({ contact, hop, elapsedMs, ...end }) => [
    String(hop),
    toHex(contact.id).slice(0, SHORT_DIGITS),
    contact.address,
    String(sharedBits(contact.id, target)),
    end.outcome === 'answered' ? formatMs(elapsedMs) : '',
    broughtBy(end, target),
  ])
  return formatTable(['>hop', 'contact', 'address', '>shared bits', '>round trip', 'brought'], rows)
}

function broughtBy({ outcome, brought, error }: Omit<LookupStep, 'contact' | 'hop' | 'elapsedMs'>, target: Uint8Array) {
  if (outcome === 'abandoned') return 'not waited for'
  if (outcome === 'failed') return `failed${error instanceof DhtError ? `: ${error.code}` : ''}`
  if (brought.length === 0) return 'nobody new'
  const nearest = Math.max(...brought.map(({ id }) => sharedBits(id, target)))
  return `${brought.length} new, the nearest with ${counted(nearest, 'shared bit')}`
}

function closestTable({ closest }: FindNodeResult, target: Uint8Array): string {
  const rows = closest.map(({ id, address }) => [toHex(id), address, String(sharedBits(id, target))])
  return formatTable(['nearest', 'address', '>shared bits'], rows)
}
