import { ROUTER_ROLE } from '../postgres/credentials.ts';

/**
 * What a superuser runs on the primary of a cluster that Understudy did not make, once, in the database that --router-database names: the router's role and
 * the function by which it looks up secrets. pg_authid can be read by superusers only, so the function runs with its owner's rights, with a fixed search_path,
 * and nobody else may call it.
 */
export const SETUP_SQL: string = `-- The role with which the proxy asks the servers where they are. Choose a password, and give it to the proxy in UNDERSTUDY_ROUTER_PASSWORD.
CREATE ROLE ${ROUTER_ROLE} LOGIN PASSWORD 'choose-a-password';
-- To see how far replicas are, also right after a failover.
GRANT pg_monitor TO ${ROUTER_ROLE};
-- The SCRAM verifier of whoever logs in to the proxy, for the proxy alone. Not needed where --users lists the roles.
CREATE SCHEMA understudy;
REVOKE ALL ON SCHEMA understudy FROM PUBLIC;
CREATE FUNCTION understudy.user_secret(user_name pg_catalog.name, OUT verifier pg_catalog.text, OUT valid_until pg_catalog.timestamptz, OUT can_login pg_catalog.bool)
  RETURNS SETOF pg_catalog.record LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT a.rolpassword, a.rolvaliduntil, a.rolcanlogin FROM pg_catalog.pg_authid a WHERE a.rolname = user_name $$;
REVOKE ALL ON FUNCTION understudy.user_secret(pg_catalog.name) FROM PUBLIC;
GRANT USAGE ON SCHEMA understudy TO ${ROUTER_ROLE};
GRANT EXECUTE ON FUNCTION understudy.user_secret(pg_catalog.name) TO ${ROUTER_ROLE};
`;
