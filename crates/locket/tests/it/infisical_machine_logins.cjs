// Reads one secret of an Infisical with its vendor's own client and prints what it got as JSON.
//
// Run by `infisical_machine_logins.rs`. The client's package is the first argument, then come the server's address, the way
// to log in, the identity, and a file with the token of a pod. The project is `p1`, its environment `prod`.

const [packagePath, siteUrl, way, identityId, serviceAccountTokenPath] = process.argv.slice(2);
const { InfisicalClient } = require(packagePath);

const ways = {
  azure: { azure: { identityId } },
  gcp: { gcpIdToken: { identityId } },
  kubernetes: { kubernetes: { identityId, serviceAccountTokenPath } },
};

const wanted = {
  projectId: "p1",
  environment: "prod",
  path: "/",
  secretName: "KEY",
  type: "shared",
  includeImports: true,
};

async function read() {
  const client = new InfisicalClient({ siteUrl, auth: ways[way], cacheTtl: 0 });
  const secret = await client.getSecret(wanted);
  return { key: secret.secretKey, value: secret.secretValue, version: secret.version, invented: secret.isFallback };
}

read().then(
  (ok) => console.log(JSON.stringify({ ok })),
  (error) => console.log(JSON.stringify({ refused: String(error) })),
);
