// An OpenID Connect provider for tests: the certified `oidc-provider`, with forms that a browser under test can
// fill, and with people and clients that may change while it runs.
//
//   node server.mjs <settings.json> <state.json> <keys.json>
//
// Settings: { issuer, port }. State, which is read anew for every question:
//   { users: [{ username, password, claims: { sub, ... } }], clients: [OpenID Connect client metadata] }.
// Keys are made when the file is missing. Every request is a line on standard output, without its query.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import Provider, { errors } from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';

const [settingsFile, stateFile, keysFile] = process.argv.slice(2);
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const settings = read(settingsFile);

const userBySubject = (subject) => read(stateFile).users.find((user) => user.claims.sub === subject);
const userByPassword = (username, password) =>
  read(stateFile).users.find((user) => user.username === username && user.password === password);

function keys() {
  if (!existsSync(keysFile)) {
    const made = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ec', { namedCurve: 'P-256' })];
    const jwks = made.map(({ privateKey }) => ({
      ...privateKey.export({ format: 'jwk' }),
      kid: randomUUID(),
      use: 'sig',
    }));
    writeFileSync(keysFile, JSON.stringify({ keys: jwks }));
  }
  return read(keysFile);
}

// Clients come from the state; everything else is forgotten at the end.
class Adapter extends MemoryAdapter {
  async find(id) {
    if (this.model !== 'Client') return super.find(id);
    return read(stateFile).clients.find((client) => client.client_id === id);
  }
}

const escape = (text) =>
  String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const page = (title, body) =>
  `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title></head>` +
  `<body><h1>${escape(title)}</h1>${body}</body></html>`;

const provider = new Provider(settings.issuer, {
  adapter: Adapter,
  jwks: keys(),
  cookies: { keys: [randomUUID()] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups', 'api'],
  // As Keycloak, Dex and Cognito do: whoever may ask for a claim finds it in the ID token.
  conformIdTokenClaims: settings.conform_id_token_claims ?? false,
  pkce: { required: () => true },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Grant: 3600, Interaction: 600, Session: 3600 },
  async findAccount(ctx, subject) {
    const user = userBySubject(subject);
    return user && { accountId: subject, claims: async () => user.claims };
  },
  async extraTokenClaims(ctx, token) {
    const { sub, ...claims } = userBySubject(token.accountId)?.claims ?? {};
    return claims;
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    // Whoever names a resource gets an access token for it that says everything itself.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (ctx, resource) => ({
        audience: resource,
        scope: 'api',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
    rpInitiatedLogout: {
      enabled: true,
      async logoutSource(ctx, form) {
        ctx.body = page(
          'Sign out',
          `${form}<button id="sign-out" type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`,
        );
      },
      async postLogoutSuccessSource(ctx) {
        ctx.body = page('Signed out', '');
      },
    },
  },
  async renderError(ctx, out) {
    ctx.type = 'html';
    ctx.body = page('Error', `<pre id="error">${escape(JSON.stringify(out))}</pre>`);
  },
});

// The resource owner password grant (RFC 6749, 4.3), which the package has left to those who want it.
provider.registerGrantType(
  'password',
  async (ctx) => {
    const { client, params } = ctx.oidc;
    const user = userByPassword(params.username, params.password);
    if (!user) throw new errors.InvalidGrant('the user name or the password is wrong');
    const accountId = user.claims.sub;
    const scope = params.scope ?? 'openid';
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    grant.addOIDCScope(scope);
    const grantId = await grant.save();
    ctx.oidc.entity('Account', { accountId, claims: async () => user.claims });
    ctx.oidc.entity('Grant', grant);
    const accessToken = new provider.AccessToken({ accountId, client, grantId, gty: 'password', scope });
    ctx.oidc.entity('AccessToken', accessToken);
    ctx.body = {
      access_token: await accessToken.save(),
      expires_in: accessToken.expiration,
      token_type: accessToken.tokenType,
      scope,
    };
    if (scope.split(' ').includes('openid')) {
      const idToken = new provider.IdToken(user.claims, { ctx });
      idToken.scope = grant.getOIDCScopeFiltered(new Set(scope.split(' ')));
      ctx.body.id_token = await idToken.issue({ use: 'idtoken' });
    }
  },
  ['username', 'password', 'scope'],
);

const loginForm = (uid, hint, message) =>
  page(
    'Sign in',
    `${message ? `<p id="message">${escape(message)}</p>` : ''}` +
      `<form method="post" action="/interaction/${escape(uid)}/login">` +
      `<input name="username" autocomplete="off" value="${escape(hint ?? '')}">` +
      '<input name="password" type="password" autocomplete="off">' +
      '<button id="sign-in" type="submit">Sign in</button></form>',
  );
const consentForm = (uid, { client_id: client, scope }) =>
  page(
    'Allow',
    `<p id="client">${escape(client)}</p><p id="scope">${escape(scope)}</p>` +
      `<form method="post" action="/interaction/${escape(uid)}/allow"><button id="allow" type="submit">Allow</button></form>` +
      `<form method="post" action="/interaction/${escape(uid)}/deny"><button id="deny" type="submit">Deny</button></form>`,
  );

async function form(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return new URLSearchParams(Buffer.concat(pieces).toString('utf8'));
}

async function allow(details) {
  const { params, prompt, session } = details;
  const grant =
    (details.grantId && (await provider.Grant.find(details.grantId))) ||
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return { consent: { grantId: await grant.save() } };
}

async function interact(ctx, uid, step) {
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  const finish = async (result, options) => {
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, result, options);
  };
  ctx.type = 'html';
  if (ctx.method === 'GET') {
    ctx.body =
      details.prompt.name === 'login'
        ? loginForm(uid, details.params.login_hint)
        : consentForm(uid, details.params);
  } else if (step === 'login') {
    const fields = await form(ctx.req);
    const user = userByPassword(fields.get('username'), fields.get('password'));
    if (user) {
      await finish({ login: { accountId: user.claims.sub } }, { mergeWithLastSubmission: false });
    } else {
      ctx.body = loginForm(uid, fields.get('username'), 'the user name or the password is wrong');
    }
  } else if (step === 'allow') {
    await finish(await allow(details));
  } else {
    const denial = { error: 'access_denied', error_description: 'the person said no' };
    await finish(denial, { mergeWithLastSubmission: false });
  }
}

provider.use(async (ctx, next) => {
  ctx.res.on('finish', () => console.log(`${ctx.method} ${ctx.path} ${ctx.res.statusCode}`));
  const match = /^\/interaction\/([^/]+)(?:\/(login|allow|deny))?$/.exec(ctx.path);
  if (match) await interact(ctx, match[1], match[2]);
  else await next();
});

for (const event of ['server_error', 'grant.error', 'authorization.error', 'end_session.error']) {
  provider.on(event, (ctx, error) => console.log(`${event}: ${error.message} ${error.error_detail ?? ''}`));
}

// Both addresses that `localhost` stands for; a machine may have no IPv6.
provider.listen(settings.port, '::1').on('error', (error) => console.log(`not on ::1: ${error.message}`));
provider.listen(settings.port, '127.0.0.1', () => console.log(`ready at ${settings.issuer}`));
