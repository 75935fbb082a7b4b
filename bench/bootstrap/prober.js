// @ts-check
// Asks by turns the node and a raw echo, one question at a time, in a process that does nothing else: `fork('prober.js',
// [address])`. It says how long a PING and its answer are, then waits for the port of an echo that answers with as much.
// It begins at 'go' and stops at 'stop'; at these and at 'sample' it tells how long answers took since it was asked last.
// A PING that nobody answers took as long as it was waited for. It ends with its parent.

import { once } from 'node:events'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDht } from 'xorbit'
import { openAsker } from '../rpc/raw.js'
import { distribution } from '../statistics.js'
import { countingUdp, noTraffic } from './counting.js'
import { startNode } from './start.js'

/** @typedef {{ ping: import('../statistics.js').Distribution, echo: import('../statistics.js').Distribution, calls: number, answered: number, timeouts: number, resends: number, late: number, pending: number, traffic: import('./counting.js').Traffic }} ProberSample */

/** Between two questions. */
const PAUSE_MS = 10
/** As long as a call of the node's may take. */
const ECHO_MS_MAX = 2_000

const address = String(process.argv[2])
const traffic = noTraffic()
const transport = countingUdp(address, traffic, { knowsOnlyNode: true })
const dht = createDht({ transport, bootstrap: [address], client: true })
await startNode(dht)
const { requestBytes, replyBytes } = await bytesOfPing()
const joining = dht.stats()
process.send?.({ requestBytes, replyBytes })
const [{ port }] = await once(process, 'message')
const asker = await openAsker(port, requestBytes)

/** @type {{ ping: number[], echo: number[] }} */
let tookMs = { ping: [], echo: [] }
const run = { isAsking: false, isOver: false }

/** Of one that went and came once, while nothing else did: where the rate limit is in force, that takes some. */
async function bytesOfPing() {
  for (;;) {
    const before = dht.stats()
    const isAnswered = await isWell(dht.ping(address))
    const { datagramsSent, datagramsReceived, bytesSent, bytesReceived } = dht.stats()
    const isAlone = datagramsSent - before.datagramsSent === 1 && datagramsReceived - before.datagramsReceived === 1
    if (isAnswered && isAlone) {
      return { requestBytes: bytesSent - before.bytesSent, replyBytes: bytesReceived - before.bytesReceived }
    }
    await sleep(PAUSE_MS)
  }
}

/** @param {Promise<unknown>} call */
function isWell(call) {
  return call.then(
    () => true,
    () => false,
  )
}

async function ping() {
  const sentAtMs = performance.now()
  // One that is told at once to ask less is neither an answer nor a loss; the calls that timed out are counted too.
  const isRefused = await dht.ping(address).then(
    () => false,
    (error) => error.code === 'ERR_RATE_LIMITED',
  )
  // Both from just before the datagram is handed over to when the program has the answer.
  if (!isRefused) tookMs.ping.push(performance.now() - sentAtMs)
}

async function echo() {
  let isOver = false
  const answered = asker.exchange(1, (elapsedMs) => {
    if (!isOver) tookMs.echo.push(elapsedMs)
    return false
  })
  // A datagram may be lost there too.
  await Promise.race([answered, sleep(ECHO_MS_MAX, undefined, { ref: false })])
  isOver = true
}

process.on('message', (/** @type {'go' | 'stop' | 'sample'} */ what) => {
  if (what === 'go') run.isAsking = true
  if (what === 'stop') run.isAsking = false
  const { ping, echo } = tookMs
  tookMs = { ping: [], echo: [] }
  const { calls, responses, errorReplies, timeouts, resends, dropped, pendingCalls } = dht.stats()
  process.send?.({
    ping: distribution(ping),
    echo: distribution(echo),
    calls: calls - joining.calls,
    answered: responses + errorReplies - joining.responses - joining.errorReplies,
    timeouts: timeouts - joining.timeouts,
    resends: resends - joining.resends,
    late: dropped.unmatched - joining.dropped.unmatched,
    pending: pendingCalls,
    traffic,
  })
})
process.on('disconnect', async () => {
  run.isOver = true
  await dht.close()
  process.exit()
})
process.send?.('ready')

for (let turn = 0; !run.isOver; turn++) {
  if (run.isAsking) await (turn % 2 === 0 ? ping() : echo())
  await sleep(PAUSE_MS)
}
