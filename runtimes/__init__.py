"""Runtime adapters: one per inference engine, and the `Predictor` over them."""
