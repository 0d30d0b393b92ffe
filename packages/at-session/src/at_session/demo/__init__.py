"""The demo agent: a scripted agent that does real git work and calls no model. See `docs/demo.md`."""
