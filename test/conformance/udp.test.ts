import { createSocket } from 'node:dgram'
import { describe, test } from 'vitest'
import { transportConformance } from '../../src/testing/transport-conformance.js'
import { udp } from '../../src/transport/udp.js'

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const socket = createSocket('udp6')
  socket.once('error', () => socket.close(() => resolve(false)))
  socket.bind(0, '::1', () => socket.close(() => resolve(true)))
})

for (const [family, host, isHere] of [
  ['IPv4', '127.0.0.1', true],
  ['IPv6', '::1', hasIpv6],
] as const) {
  describe(`udp over ${family}`, () => {
    const rules = transportConformance({
      create: () => udp({ host }),
      createAt: (address) => udp({ host, port: portOf(address) }),
      sibling: (address) => address.replace(/:\d+$/, ':9'),
    })
    for (const { name, run } of rules) {
      test(name, async (context) => {
        context.skip(!isHere, `this machine has no ${host}`)
        await run()
      })
    }
  })
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
