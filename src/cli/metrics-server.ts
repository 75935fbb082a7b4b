import type { Server } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { integer, quoted } from './arguments.js'

/** Nobody who asks for metrics needs longer, in ms. */
const REQUEST_MS_MAX = 5000

/** Whether all is well, and if not, why. */
export interface Health {
  readonly isWell: boolean
  readonly facts: Readonly<Record<string, unknown>>
}

/** Where metrics are served. */
export interface MetricsAddress {
  readonly host: string
  readonly port: number
}

/** Reads `PORT`, `HOST:PORT` or `[IPv6]:PORT`. @throws UsageError */
export function metricsAddress(text: string): MetricsAddress {
  const [, bracketed, plain, port = text] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? []
  return { host: bracketed ?? plain ?? '127.0.0.1', port: integer('the port of --metrics', port, 0, 65_535) }
}

/** A server of metrics that is open. */
export interface MetricsServer {
  /** `http://127.0.0.1:9400`. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves `/metrics` and `/healthz`.
 *
 * @throws Error when it can't listen there
 */
export async function serveMetrics(
  { host, port }: MetricsAddress,
  metrics: () => string,
  health: () => Health,
): Promise<MetricsServer> {
  const server = createServer(
    { requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX, connectionsCheckingInterval: 1000 },
    (request, response) => {
      const [path] = (request.url ?? '').split('?')
      const answer = (status: number, type: string, body: string): void => {
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
        response.end(request.method === 'HEAD' ? undefined : body)
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD')
        answer(405, 'text/plain; charset=utf-8', 'only GET and HEAD\n')
      } else if (path === '/metrics') {
        answer(200, 'text/plain; version=0.0.4; charset=utf-8', metrics())
      } else if (path === '/healthz') {
        const { isWell, facts } = health()
        answer(isWell ? 200 : 503, 'application/json', `${JSON.stringify(facts)}\n`)
      } else {
        answer(404, 'text/plain; charset=utf-8', 'there are /metrics and /healthz\n')
      }
    },
  )
  server.maxConnections = 64
  await listening(server, host, port)
  const bound = server.address() as AddressInfo
  return {
    url: `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      // Not a wrong argument: whoever has the port may be gone soon.
      reject(new Error(`--metrics can't listen at ${quoted(`${host}:${port}`)}: ${error.message}`, { cause: error }))
    })
    server.listen(port, host, resolve)
  })
}
