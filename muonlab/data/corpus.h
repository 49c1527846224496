// Corpora: text documents from a folder, a text file or a JSON-lines file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace muonlab::data {

struct Document {
  std::string name;  ///< where it comes from, relative to the corpus
  std::string text;  ///< bytes exactly as in the file; usually UTF-8
};

struct Corpus {
  std::string name;  ///< last part of the path that it was read from
  std::vector<Document> documents;  ///< none of them empty
  /// Documents left out because they hold nothing but white space.
  std::int64_t empty_documents = 0;
  /// Documents, kept as bytes, that are not valid UTF-8.
  std::int64_t invalid_utf8_documents = 0;

  /// Bytes of text in all documents.
  [[nodiscard]] std::int64_t bytes() const;
};

/// Reads a corpus:
///   - a folder: every *.txt file below it is a document; by name, recursive;
///   - a .jsonl file: the string "text" of the object on each line;
///   - any other file: text, cut at lines that hold only `<|endoftext|>`; a
///   file
///     without such a line is one document.
/// Throws Error(kIo) when the path or a file cannot be read, kCorruptData for a
/// bad JSON line (file and line number) and kInvalidArgument when no document
/// is left.
[[nodiscard]] Corpus read_documents(const std::filesystem::path& path);

}  // namespace muonlab::data
