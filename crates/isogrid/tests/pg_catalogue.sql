-- psql version
SELECT version();
