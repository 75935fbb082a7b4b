// @ts-check
// A raw echo in a process of its own: `fork('echo.js', [bytes of a reply])`. It ends with its parent.

import process from 'node:process'
import { openEcho } from '../rpc/raw.js'

const { port } = await openEcho(Number(process.argv[2]))
process.on('disconnect', () => process.exit())
process.send?.({ port })
