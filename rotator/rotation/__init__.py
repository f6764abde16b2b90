"""The rotation of a token: ten steps, and the file of each.

     1 read       observe   every store of the token; the newest live token in them is current
     2 decide     policy    a chain of pure checks; `observe.Decider` asks the API for it
     3 preflight  steps     each store proves that it can be written
     4 intend     mint      `prepare` logs in; an intent is written to the first store
     5 mint       mint      one call; the token's id joins the intent
     6 verify     mint      the claims fit, and the API exchanges the token
     7 promote    mint      the token takes the intent's place in the first store
     8 spread     steps     the same token to the other stores
     9 hook       finish    commands, restarts, notices
    10 retire     retire    the old token is revoked, once its time has come (`disuse`)

`rotation` decides whether steps are to be taken, `steps` takes them while the stores are held, and
`report` says what came of it, with the `severity` of a failure. `model` is the data of all.

After a failure `mint` revokes the token by `undo`, or `reconcile` does, at once or in the next run.
`in_flight` knows what this process is minting, and `inventory` what all stores hold. For many
tokens: `fleet`, `shards`, `threads` and `retry`; `states` for the daemon, and `listing` for
`rotator tokens list`. `rehearsal` takes the steps with a canary, and `rehearsal_leftovers` clears
up after one that was killed. See also docs/rotation.md.
"""
