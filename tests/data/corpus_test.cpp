#include "muonlab/data/corpus.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write;

std::vector<std::string> texts(const Corpus& corpus) {
  std::vector<std::string> result;
  for (const Document& document : corpus.documents) {
    result.push_back(document.text);
  }
  return result;
}

TEST(Corpus, FolderGivesItsTextFilesByNameAtAnyDepth) {
  const TemporaryFolder folder;
  write(folder / "books/b.txt", "bee");
  write(folder / "books/a/z.txt", "zed");
  write(folder / "books/a.txt", "ay");
  write(folder / "books/notes.json", "not a text");
  const Corpus corpus = read_documents(folder / "books/");
  EXPECT_EQ(corpus.name, "books");
  EXPECT_EQ(texts(corpus), (std::vector<std::string>{"ay", "zed", "bee"}));
  EXPECT_EQ(corpus.documents[1].name, "a/z.txt");
  EXPECT_EQ(corpus.bytes(), 8);
}

TEST(Corpus, TextFileIsCutAtSeparatorLinesOnly) {
  const TemporaryFolder folder;
  write(folder / "x.txt",
        "one\n\nstill one\n<|endoftext|>\r\ntwo <|endoftext|>\n"
        "<|endoftext|>\n \n<|endoftext|>\nthree");
  const Corpus corpus = read_documents(folder / "x.txt");
  EXPECT_EQ(texts(corpus),
            (std::vector<std::string>{"one\n\nstill one\n",
                                      "two <|endoftext|>\n", "three"}));
  EXPECT_EQ(corpus.empty_documents, 1);
}

TEST(Corpus, SeparatorsAtTheEndsOfAFileEncloseNothing) {
  const TemporaryFolder folder;
  write(folder / "x.txt", "<|endoftext|>\none\n<|endoftext|>\n");
  const Corpus corpus = read_documents(folder / "x.txt");
  EXPECT_EQ(texts(corpus), (std::vector<std::string>{"one\n"}));
  EXPECT_EQ(corpus.empty_documents, 0);
}

TEST(Corpus, FileWithoutSeparatorIsOneDocument) {
  const TemporaryFolder folder;
  write(folder / "x.txt", "one\n\ntwo\n");
  EXPECT_EQ(texts(read_documents(folder / "x.txt")),
            (std::vector<std::string>{"one\n\ntwo\n"}));
}

TEST(Corpus, JsonLinesGiveTheirField) {
  const TemporaryFolder folder;
  write(folder / "x.jsonl",
        "{\"text\": \"a\\nb\"}\n\n{\"id\": 3, \"text\": \"\\u00e9\"}\n"
        "{\"text\": \"\"}\n");
  const Corpus corpus = read_documents(folder / "x.jsonl");
  EXPECT_EQ(texts(corpus), (std::vector<std::string>{"a\nb", "\xC3\xA9"}));
  EXPECT_EQ(corpus.empty_documents, 1);
}

TEST(Corpus, BadJsonLinesAreNamedByNumber) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"text\": 3}", "expected string"},
      {"{\"txt\": \"a\"}", "no field"},
      {"[1]", "expected an object"},
      {"{\"text\": ", "not JSON"}};
  for (const auto& [line, word] : cases) {
    write(folder / "x.jsonl", "{\"text\": \"fine\"}\n" + line + "\n");
    expect_error(ErrorKind::kCorruptData, {"x.jsonl: line 2", word},
                 [&] { (void)read_documents(folder / "x.jsonl"); });
  }
}

TEST(Corpus, InvalidUtf8IsKeptAndCounted) {
  const TemporaryFolder folder;
  write(folder / "a.txt", "caf\xE9");       // Latin-1
  write(folder / "b.txt", "\xED\xA0\x80");  // a surrogate
  write(folder / "c.txt", "\xC0\xAF");      // overlong
  write(folder / "d.txt", "caf\xC3\xA9 \xF0\x9F\x98\x80");
  write(folder / "e.txt", "\xF4\x90\x80\x80");  // above U+10FFFF
  const Corpus corpus = read_documents(folder.path());
  EXPECT_EQ(corpus.documents.size(), 5U);
  EXPECT_EQ(corpus.invalid_utf8_documents, 4);
  EXPECT_EQ(corpus.documents[0].text, "caf\xE9");
}

TEST(Corpus, NothingToReadIsAnError) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kIo, {"missing", "cannot read the corpus"},
               [&] { (void)read_documents(folder / "missing"); });
  expect_error(ErrorKind::kInvalidArgument, {"no document", "end in .txt"},
               [&] { (void)read_documents(folder.path()); });
  write(folder / "a.txt", " \n\t");
  expect_error(ErrorKind::kInvalidArgument, {"got 1 empty document,"},
               [&] { (void)read_documents(folder.path()); });
}

}  // namespace
}  // namespace muonlab::data
