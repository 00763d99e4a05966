"""The ledger: PostgreSQL says who holds which GPU. The only importer of asyncpg."""
