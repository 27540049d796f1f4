import { randomBytes } from 'node:crypto';
import {
  Backend,
  backend,
  type BackendKey,
  type ErrorFields,
  frontend,
  ProtocolError,
  readErrorFields,
  SCRAM_SHA_256,
  ScramClient,
  type ScramCredential,
  type ScramSalt,
} from '@understudy/wire';

/** The server refused a login; `fields` is what it said. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused';
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(fields.message);
    this.fields = fields;
  }
}

export type LoginStep = { readonly kind: 'send'; readonly bytes: Buffer } | { readonly kind: 'wait' } | { readonly kind: 'ready' };

const WAIT: LoginStep = { kind: 'wait' };

/** The proxy's side of one login to a server: SCRAM-SHA-256 or trust. Fed with frames until it is ready; throws when it cannot be. */
export class ServerLogin {
  readonly parameters: Map<string, string> = new Map();
  key: BackendKey | null = null;
  readonly #scram: ScramClient;
  #scramState: 'none' | 'proving' | 'proven' = 'none';

  constructor(credential: ScramCredential) {
    this.#scram = new ScramClient(credential, randomBytes(18).toString('base64'));
  }

  /** Of the role's stored secret; null where the server wants no proof, or has not been asked yet. */
  get salt(): ScramSalt | null {
    return this.#scram.salt;
  }

  take(type: number, frame: Buffer): LoginStep {
    switch (type) {
      case Backend.authentication:
        return this.#authentication(frame);
      case Backend.parameterStatus: {
        const { name, value } = backend.readParameterStatus(frame);
        this.parameters.set(name, value);
        return WAIT;
      }
      case Backend.backendKeyData:
        this.key = backend.readBackendKeyData(frame);
        return WAIT;
      case Backend.negotiateProtocolVersion:
      case Backend.noticeResponse:
        return WAIT;
      case Backend.errorResponse:
        throw new LoginRefused(readErrorFields(frame));
      case Backend.readyForQuery:
        return { kind: 'ready' };
      default:
        throw new ProtocolError(`message ${String.fromCharCode(type)} during the login`);
    }
  }

  #authentication(frame: Buffer): LoginStep {
    const request = backend.readAuthentication(frame);
    switch (request.kind) {
      case 'ok':
        if (this.#scramState === 'proving') throw new ProtocolError('the server skipped its proof');
        return WAIT;
      case 'sasl':
        if (!request.mechanisms.includes(SCRAM_SHA_256)) throw new ProtocolError('the server offers no SCRAM-SHA-256');
        this.#scramState = 'proving';
        return { kind: 'send', bytes: frontend.saslInitialResponse(SCRAM_SHA_256, this.#scram.first()) };
      case 'saslContinue':
        return { kind: 'send', bytes: frontend.saslResponse(this.#scram.respond(request.data)) };
      case 'saslFinal':
        this.#scram.finish(request.data);
        this.#scramState = 'proven';
        return WAIT;
      case 'cleartext':
      case 'md5':
      case 'unsupported':
        throw new ProtocolError('the server asks for an authentication other than SCRAM-SHA-256');
    }
  }
}
