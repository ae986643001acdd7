-- The two databases and their users, made where they are missing and given the passwords of .env: at every start, so
-- that a password changed in .env is changed here too. Run by psql as the superuser.
\set ON_ERROR_STOP on
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
\getenv service_password SEARCH_SERVICE_DATABASE_PASSWORD

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['mlflow', 'search_service']) AS name
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE mlflow LOGIN PASSWORD :'mlflow_password';
ALTER ROLE search_service LOGIN PASSWORD :'service_password';

-- In UTF-8, whatever the server's locale is: in another encoding psycopg reads text as bytes.
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', name, name)
  FROM unnest(ARRAY['mlflow', 'search_service']) AS name
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
-- Each user opens its own database only.
REVOKE CONNECT ON DATABASE mlflow, search_service, postgres, template1 FROM PUBLIC;
