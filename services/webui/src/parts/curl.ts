/** A completion by curl, as a shell takes it. `body` is the JSON of the request. */
export const curlCompletion = (server: string, token: string, body: string): string =>
  `curl -N ${server}/v1/completions \\
  -H 'Authorization: Bearer ${token}' \\
  -H 'Content-Type: application/json' \\
  -d '${body}'`;
