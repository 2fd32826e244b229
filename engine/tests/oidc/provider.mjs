// An OpenID provider on loopback for the tests: oidc-provider, with two clients and one person.
//
//   node provider.mjs TOOLS    TOOLS: the folder that install.sh printed. Prints {"issuer": ...} and serves until its stdin ends.
//
// Beside the provider it answers, for the test alone:
//   POST /test/approve {"user_code"}   the person enters the code and agrees
//   POST /test/rotate                  new signing keys; the old ones are gone from the JWKS
//   POST /test/sign {claims}           a token signed with the key in force, with these claims over the usual ones
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const load = (path) => import(pathToFileURL(`${process.argv[2]}/node_modules/${path}`).href);
const { default: Provider } = await load('oidc-provider/lib/index.js');
const jose = await load('jose/dist/webapi/index.js');

const RESOURCE = 'urn:ward';
let callback;
let provider;
let key;
let keys = 0;

const server = createServer((request, response) => {
  const test = request.url.startsWith('/test/');
  (test ? control(request, response) : Promise.resolve(callback(request, response))).catch((error) => {
    response.writeHead(500).end(String(error));
  });
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

async function signingKey() {
  keys += 1;
  const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), kid: `key-${keys}`, use: 'sig', alg: 'ES256' };
}

function claimsOf(account) {
  return { preferred_username: account, roles: ['researcher'], organisation: 'north', amr: ['pwd', 'otp'] };
}

async function start() {
  key = await signingKey();
  provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'ward-cli', token_endpoint_auth_method: 'none', application_type: 'native',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        redirect_uris: [], response_types: [], id_token_signed_response_alg: 'ES256',
      },
      {
        client_id: 'etl', client_secret: 'a secret of etl: 100%', grant_types: ['client_credentials'],
        redirect_uris: [], response_types: [], id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['for the tests'] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    extraTokenClaims: (_, token) => (token.accountId ? claimsOf(token.accountId) : { roles: ['auditor'] }),
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'query', audience: 'ward', accessTokenTTL: 600, accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  callback = provider.callback();
}

async function control(request, response) {
  let body = '';
  for await (const piece of request) body += piece;
  const asked = body ? JSON.parse(body) : {};
  const answer = (value) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  if (request.url === '/test/rotate') {
    await start();
    return answer({ kid: key.kid });
  }
  if (request.url === '/test/sign') {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: 'ward', sub: 'grace', client_id: 'ward-cli', iat: now, exp: now + 300,
      ...claimsOf('grace'), ...asked };
    const token = await new jose.SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'at+jwt' })
      .sign(await jose.importJWK(key, 'ES256'));
    return answer({ token });
  }
  const code = await provider.DeviceCode.findByUserCode(asked.user_code.replace(/-/g, ''));
  const grant = new provider.Grant({ accountId: 'grace', clientId: code.clientId });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(RESOURCE, 'query');
  Object.assign(code, {
    accountId: 'grace', grantId: await grant.save(), scope: 'openid offline_access', resource: RESOURCE,
    authTime: Math.floor(Date.now() / 1000), sessionUid: 'a-session', expiresWithSession: false, error: undefined,
  });
  await code.save();
  return answer({});
}

await start();
console.log(JSON.stringify({ issuer }));
process.stdin.on('end', () => process.exit(0)).resume();
