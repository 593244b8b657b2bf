"""The comparer with Resemblyzer's network: are two recordings of one speaker?"""
