import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';

/** What the proxy shows its clients. All in PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Authorities whose certificates clients must show (mutual TLS); null asks for none. */
  readonly clientCa: string | null;
  /** Clients without TLS are refused. */
  readonly required: boolean;
}

/** TLS 1.2 and 1.3 for clients: handshakes on sockets that already speak, and the certificate's part in SCRAM. */
export class ClientTls {
  readonly required: boolean;
  /** Data of channel binding tls-server-end-point; null where the certificate's signature has no hash of its own (Ed25519). */
  readonly binding: Buffer | null;
  readonly #server: Server;
  readonly #waiting = new Map<string, (secured: TLSSocket) => void>();

  private constructor({ cert, key, clientCa, required }: TlsMaterial, binding: Buffer | null) {
    this.required = required || clientCa !== null;
    this.binding = binding;
    // Never listens: it makes the handshakes, and turns clients without a valid certificate away.
    this.#server = createServer({
      cert,
      key,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['postgresql'],
      pauseOnConnect: true,
      ...(clientCa === null ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
    });
    this.#server.on('secureConnection', secured => this.#waiting.get(nameOf(secured))?.(secured));
    this.#server.on('tlsClientError', (_error, secured) => secured.destroy());
  }

  /** Rejects when certificate and key are not usable. */
  static async create(material: TlsMaterial): Promise<ClientTls> {
    // Loaded only where it is needed: it is large.
    const { endPointBinding } = await import('../certificates/channel-binding.ts');
    return new ClientTls(material, endPointBinding(material.cert));
  }

  /** Continues the connection in TLS; `early` are bytes of it that were read already. Null when that fails. */
  secure(raw: Socket, early: Buffer, alpn: 'alpn-required' | 'alpn-optional'): Promise<TLSSocket | null> {
    const name = nameOf(raw);
    if (early.length > 0) raw.unshift(early);
    return new Promise(resolve => {
      const settle = (secured: TLSSocket | null): void => {
        this.#waiting.delete(name);
        raw.off('close', onClose);
        resolve(secured);
      };
      const onClose = (): void => settle(null);
      raw.once('close', onClose);
      this.#waiting.set(name, secured => {
        secured.on('error', () => secured.destroy());
        if (alpn === 'alpn-optional' || secured.alpnProtocol === 'postgresql') return settle(secured);
        secured.destroy();
        settle(null);
      });
      this.#server.emit('connection', raw);
    });
  }
}

/** One connection, as the server of its handshake knows it too. */
function nameOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}
