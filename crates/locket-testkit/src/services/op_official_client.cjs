// Resolves references with 1Password's own client for Node and prints what it got as JSON. The package's directory is the
// first argument, the references are the others; the token is in OP_SERVICE_ACCOUNT_TOKEN.
const [directory, ...references] = process.argv.slice(2);
const sdk = require(directory);

async function main() {
  const client = await sdk.createClient({
    auth: process.env.OP_SERVICE_ACCOUNT_TOKEN,
    integrationName: "locket",
    integrationVersion: process.env.INTEGRATION_VERSION,
  });
  return client.secrets.resolveAll(references);
}

main().then(
  (ok) => console.log(JSON.stringify({ ok })),
  (error) => console.log(JSON.stringify({ refused: error.message })),
);
