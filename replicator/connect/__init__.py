"""Kafka Connect: the only room that speaks its REST, and the bytes and configurations of MM2.

Owns `ConnectClient`, the templates of MM2's connectors, the rules for raw overrides, and the codecs of
MM2's internal topics and Connect's offsets topic. Never decides what a flow should be, never touches a
Kafka cluster itself, never takes a connector's RUNNING for proof that records move.
"""
