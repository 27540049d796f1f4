import prepare from 'saslprep';

/** Normal form of a password (RFC 4013). As PostgreSQL does, a password that the profile forbids is taken as it is. */
export function saslprep(password: string): string {
  try {
    return prepare(password);
  } catch {
    return password;
  }
}
