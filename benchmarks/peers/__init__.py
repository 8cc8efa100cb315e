"""The contestants: one module for each library, with what its users write, in the quickest way that it documents.

Every module builds the same letters (:mod:`letters`), and sends them over connections that stay open.
"""
