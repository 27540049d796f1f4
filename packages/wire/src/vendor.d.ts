declare module 'saslprep' {
  export default function prepare(text: string, options?: { allowUnassigned?: boolean }): string;
}
