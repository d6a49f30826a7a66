"""LangChain's vector store for Qdrant stores and finds documents through the server."""

import hashlib
import warnings

import _packages
from _rest import *

_packages.python("langchain-qdrant==1.1.0", "qdrant-client==1.19.1")
warnings.filterwarnings("ignore")

from langchain_core.documents import Document  # noqa: E402
from langchain_core.embeddings import Embeddings  # noqa: E402
from langchain_qdrant import QdrantVectorStore  # noqa: E402
from qdrant_client import models  # noqa: E402


class Words(Embeddings):
    """Counts words by hash: texts that share words are near each other."""

    def embed_query(self, text):
        v = [0.01] * 512
        for word in text.lower().split():
            v[int(hashlib.md5(word.encode()).hexdigest(), 16) % 512] += 1
        return v

    def embed_documents(self, texts):
        return [self.embed_query(t) for t in texts]


TEXTS = ["the quick brown fox", "a lazy dog sleeps", "vectors in a database", "the fox and the dog"]


def test_documents_are_stored_and_found():
    with Server() as s:
        store = QdrantVectorStore.from_documents(
            [Document(page_content=t, metadata={"n": i}) for i, t in enumerate(TEXTS)], Words(), url=s.url,
            collection_name="docs", check_compatibility=False)
        same(store.similarity_search("lazy dog", k=1)[0].page_content, TEXTS[1])
        found = store.similarity_search_with_score("quick fox", k=2)
        same({d.page_content for d, _ in found}, {TEXTS[0], TEXTS[3]})
        check(found[0][1] >= found[1][1], found)
        only = models.Filter(must=[models.FieldCondition(key="metadata.n", match=models.MatchValue(value=3))])
        same([d.metadata["n"] for d in store.similarity_search("lazy dog", k=4, filter=only)], [3])
        ids = store.add_texts(["one more text about birds"], metadatas=[{"n": 9}])
        same(store.get_by_ids(ids)[0].page_content, "one more text about birds")
        same(store.max_marginal_relevance_search("dog", k=2, fetch_k=4)[0].page_content in TEXTS, True)
        same(store.delete(ids), True)
        same(store.get_by_ids(ids), [])
        again = QdrantVectorStore.from_existing_collection("docs", Words(), url=s.url, check_compatibility=False)
        same(again.similarity_search("vectors database", k=1)[0].page_content, TEXTS[2])


main(globals())
