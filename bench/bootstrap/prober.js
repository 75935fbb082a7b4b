// @ts-check
// Asks by turns the node and a raw echo, one question at a time, in a process that does nothing else: `fork('prober.js',
// [address])`. It says how long a PING and its answer are, and begins when it is told the port of an echo that answers
// with as much. Then it tells how long answers took since it was asked last, and ends with its parent.

import { once } from 'node:events'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDht } from 'xorbit'
import { udp } from 'xorbit/udp'
import { openAsker } from '../rpc/raw.js'
import { distribution } from '../statistics.js'

/** @typedef {{ ping: import('../statistics.js').Distribution, echo: import('../statistics.js').Distribution, calls: number, answered: number, lost: number, resends: number }} ProberSample */

/** Between two questions. */
const PAUSE_MS = 10
/** As long as a call of the node's may take. */
const ECHO_MS_MAX = 2_000

const address = process.argv[2]
const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: [String(address)], client: true })
await dht.start()
const before = dht.stats()
await dht.ping(String(address))
const joining = dht.stats()
const requestBytes = joining.bytesSent - before.bytesSent
const replyBytes = joining.bytesReceived - before.bytesReceived
process.send?.({ requestBytes, replyBytes })
const [{ port }] = await once(process, 'message')
const asker = await openAsker(port, requestBytes)

/** @type {{ ping: number[], echo: number[] }} */
let tookMs = { ping: [], echo: [] }
let isRunning = true

async function ping() {
  const sentAtMs = performance.now()
  const isAnswered = await dht.ping(String(address)).then(
    () => true,
    () => false,
  )
  // Both from just before the datagram is handed over to when the program has the answer.
  if (isAnswered) tookMs.ping.push(performance.now() - sentAtMs)
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

process.on('message', () => {
  const { ping, echo } = tookMs
  tookMs = { ping: [], echo: [] }
  const { calls, responses, errorReplies, timeouts, resends } = dht.stats()
  process.send?.({
    ping: distribution(ping),
    echo: distribution(echo),
    calls: calls - joining.calls,
    answered: responses + errorReplies - joining.responses - joining.errorReplies,
    lost: timeouts - joining.timeouts,
    resends: resends - joining.resends,
  })
})
process.on('disconnect', async () => {
  isRunning = false
  await dht.close()
  process.exit()
})
process.send?.('ready')

for (let turn = 0; isRunning; turn++) {
  await (turn % 2 === 0 ? ping() : echo())
  await sleep(PAUSE_MS)
}
