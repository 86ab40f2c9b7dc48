"""Who works with a city: accounts, roles, sessions, tokens; in the ledger's database.

The page asks `doorman.Doorman`, the command line `accounts.Accounts` and `tokens.Tokens`.
"""
