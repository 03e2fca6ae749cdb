"""Export trained image networks to small machines, int8 and measured, and embed them."""
