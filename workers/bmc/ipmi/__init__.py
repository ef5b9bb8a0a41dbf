"""IPMI: sessions with BMCs by RMCP+, over pyghmi's packets."""
