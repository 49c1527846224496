// From a corpus to a dataset folder: tokenizer, split, shards, sidecar.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "muonlab/data/dataset.h"

namespace muonlab::data {

enum class TokenizerKind {
  kBytes,
  kBpe,   ///< trained on the training documents
  kFile,  ///< of `PrepareOptions::tokenizer_file`
};

enum class SplitBy {
  kDocuments,  ///< some documents are held out (`SplitRule`)
  kWindows,    ///< some windows of one stream are (`WindowRule`)
};

struct PrepareOptions {
  std::filesystem::path corpus;  ///< what `read_documents` reads
  std::filesystem::path out;     ///< the dataset folder
  TokenizerKind tokenizer = TokenizerKind::kBpe;
  /// Tokens in all: 256 bytes, merged ones, the separator; 257 or more. Not
  /// used by the byte tokenizer, which has 257, nor by one from a file.
  std::int64_t vocabulary = 1024;
  /// What `load_tokenizer` reads; for kFile only.
  std::filesystem::path tokenizer_file = {};
  SplitBy split = SplitBy::kDocuments;
  /// Share held out, in (0, 1). Of documents, half select settings and half
  /// report results; of windows, the share is noted for whoever makes them.
  double held_out = 0.1;
  /// Take the first so many documents in the order of the corpus; 0: all.
  std::int64_t documents = 0;
  /// Take the first so many characters of each document (`utf8.h`); 0: all.
  std::int64_t characters = 0;
  /// Take the first so many tokens; 0: all. Only where the split is by windows.
  std::int64_t tokens = 0;
  /// Put the separator before each document.
  bool separators = true;
  /// Replace an existing dataset.
  bool force = false;
  /// Tokens in a shard; more start the next one. In [1, 2^31).
  std::int64_t tokens_per_shard = 100'000'000;
  /// Called with a line of text when a stage begins; may be empty.
  std::function<void(std::string_view)> progress = {};
};

struct PrepareReport {
  DatasetInfo info;
  /// Nothing was written: a whole dataset of the same corpus and settings was
  /// there.
  bool already_there = false;
  double training_seconds = 0;  ///< spent on the tokenizer
  double encoding_seconds = 0;
};

/// Makes a dataset. The BPE is trained on the training documents only. Each
/// document is preceded by a separator; within a split, documents stand in the
/// order of their split digests, which mixes sources and times.
///
/// Split by windows, all documents make one stream, the split `kTrain`, in the
/// order of the corpus, and the other splits are empty. Held-out windows then
/// overlap those that are trained on: for repeating studies that did so.
///
/// Where a limit asks for more than there is, all of it is taken; `info.cut`
/// has what was asked for, `info` what came of it.
///
/// Everything is written to a folder beside `out` that takes its name at the
/// end, so an interruption leaves no half dataset. Where `out` holds a whole
/// dataset of the same texts and settings already, this is a success that
/// writes nothing.
///
/// Throws Error(kInvalidArgument) for options out of range, for a split that
/// comes out empty, and when `out` holds something else (without `force`: any
/// other dataset; a folder that is no dataset is never replaced); and what
/// `read_documents`, `train_bpe` and writing files throw.
PrepareReport prepare(const PrepareOptions& options);

}  // namespace muonlab::data
