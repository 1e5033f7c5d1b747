"""The methods that the codes are compared with: fitted on the same ratings, asked the same questions."""
