// Programs through files; the verifier names every fault.
#include "fxq/runtime/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "fxq/runtime/kernel_table.h"
#include "program_run.h"

namespace fxq {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ProgramBuilder;

// Something of everything.
Program rich_program() {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kF32, 4);
  const ValueId w = b.constant("w", testing::random_integers(DType::kI8, {2, 3}, 1));
  b.program().values[x].qparams = QParams{0.1F, 0};
  const ValueId n = b.reg("Size", {x}, {{"dim", int64_t{0}}}, ValueKind::kInt);
  const ValueId ok = b.reg("Compare", {n, n}, {{"op", "eq"}}, ValueKind::kBool);
  const ValueId y = b.step("Anything", {x, kNoValue, w},
                           {{"b", true},
                            {"i", int64_t{-3}},
                            {"f", 2.0},
                            {"tiny", 0.1},
                            {"inf", std::numeric_limits<double>::infinity()},
                            {"s", "text \"q\""},
                            {"is", std::vector<int64_t>{}},
                            {"fs", std::vector<double>{}},
                            {"fv", std::vector<double>{1.0, 0.3}}},
                           DType::kU8);
  b.program().steps.back().version = 3;
  b.program().guards.push_back({ok, "say so"});
  Program program = b.output({y, n});
  OutputTree dict;
  dict.kind = OutputTree::Kind::kDict;
  dict.keys = {"a", "none"};
  dict.children.resize(2);
  dict.children[0].kind = OutputTree::Kind::kList;
  dict.children[1].kind = OutputTree::Kind::kNone;
  program.output.children.push_back(dict);
  return program;
}

TEST(ProgramTest, RoundTripsThroughAnArtifact) {
  const Program program = rich_program();
  ASSERT_TRUE(program.verify().ok()) << program.verify();
  Artifact artifact;
  artifact.metadata["graph"] = "somebody else's";
  artifact.tensors["other"] = HostTensor(DType::kF32, {1});
  program.to_artifact(artifact);
  const auto loaded = Program::from_artifact(artifact);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->steps.size(), program.steps.size());
  EXPECT_EQ(loaded->steps[2].attrs, program.steps[2].attrs);
  EXPECT_EQ(loaded->steps[2].inputs, program.steps[2].inputs);
  EXPECT_EQ(loaded->steps[2].version, 3);
  EXPECT_EQ(loaded->values[0].rank, 4);
  EXPECT_EQ(loaded->values[0].qparams, program.values[0].qparams);
  EXPECT_EQ(loaded->guards[0].message, "say so");
  EXPECT_EQ(loaded->constants.size(), 1u);
  EXPECT_EQ(loaded->output.children[2].keys, program.output.children[2].keys);
  Artifact again;
  loaded->to_artifact(again);
  EXPECT_EQ(again.metadata["program"], artifact.metadata["program"]);
}

TEST(ProgramTest, TensorsThatTheArtifactHasAreNotStoredTwice) {
  const HostTensor weight = testing::random_integers(DType::kI8, {16, 32}, 1);
  testing::ProgramBuilder b;
  const ValueId x = b.input("x", DType::kI8);
  const Program program = b.output({b.step("Add", {x, b.constant("w", weight)}, {}, DType::kI8)});
  Artifact artifact;
  artifact.tensors["module/w"] = testing::random_integers(DType::kI8, {16, 32}, 1);
  artifact.tensors["other"] = testing::random_integers(DType::kI8, {16, 32}, 2);
  program.to_artifact(artifact);
  EXPECT_EQ(artifact.tensors.size(), 2u);
  const auto loaded = Program::from_artifact(artifact);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(testing::integers(loaded->constants.at("w")), testing::integers(weight));
  artifact.tensors.erase("module/w");
  EXPECT_THAT(std::string(Program::from_artifact(artifact).status().message()),
              ::testing::HasSubstr("\"module/w\", which is not in the file"));
}

TEST(ProgramTest, VerifyNamesEveryProblem) {
  Program program = rich_program();
  program.steps[0].inputs[0] = 77;
  program.steps[2].outputs[0] = 0;
  program.values[1].constant = "missing";
  program.guards[0].condition = 0;
  const absl::Status status = program.verify();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("'Size0' (Size) uses value 77"), HasSubstr("a second time"),
                    HasSubstr("no tensor \"missing\""), HasSubstr("not on a bool"),
                    HasSubstr("the output uses value")));
}

TEST(ProgramTest, BrokenTextIsAStatus) {
  Artifact artifact;
  EXPECT_THAT(Program::from_artifact(artifact).status().message(), HasSubstr("no program"));
  rich_program().to_artifact(artifact);
  const std::string good = artifact.metadata["program"];
  for (size_t size = 0; size < good.size(); ++size) {
    artifact.metadata["program"] = good.substr(0, size);
    EXPECT_EQ(Program::from_artifact(artifact).status().code(), absl::StatusCode::kInvalidArgument);
  }
  // Whatever a flipped byte means, it is a program or a Status; running it too.
  int accepted = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string text = good;
    text[i] = static_cast<char>(text[i] ^ 1);
    artifact.metadata["program"] = text;
    const auto program = Program::from_artifact(artifact);
    if (!program.ok()) continue;
    ++accepted;
    EXPECT_FALSE(testing::run_status(*program, {HostTensor(DType::kF32, {1, 1, 1, 1})}).ok());
  }
  EXPECT_GT(accepted, 0);
}

TEST(ProgramTest, MissingKernelsAreListedTogether) {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kU8);
  const ValueId y = b.step("MaxPoool", {x}, {}, DType::kU8);
  const ValueId z = b.step("aten", {y}, {{"op", "aten::erfinv"}}, DType::kF32);
  const ValueId w = b.step("Relu", {y}, {}, DType::kU8);
  b.program().steps.back().version = 9;
  const absl::Status status = Executor::create(b.output({z, w})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("3 of 3"), HasSubstr("MaxPool"), HasSubstr("KernelProvider"),
                    HasSubstr("version 9")));
}

TEST(ProgramTest, WrongDtypeOrRankNamesTheStep) {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kF32);
  const Program program =
      b.output({b.step("Quantize", {x}, {{"scale", 1.0}, {"dtype", "i8"}}, DType::kU8)});
  EXPECT_THAT(testing::run_status(program, {HostTensor(DType::kF32, {2})}).message(),
              HasSubstr("step 'Quantize0' (Quantize): gives i8[2], but the program declares"));
}

// Every kernel, given nothing, nonsense attributes or wrong inputs, answers with a Status.
TEST(ProgramTest, EveryKernelChecksItsStep) {
  std::set<std::string> names;
  for (const KernelRow& row : kernel_table()) {
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name;
    Step step;
    step.kernel = row.name;
    step.name = "s";
    step.outputs = {0};
    std::vector<Desc> some = {tensor_desc(DType::kBool, {3}), scalar_desc(std::vector<int64_t>{}),
                              Desc{}, tensor_desc(DType::kU8, {1, 2, 3, 4}), scalar_desc(1.5)};
    some[2].absent = true;
    for (const auto& attr :
         {Attr{true}, Attr{int64_t{-7}}, Attr{-0.5}, Attr{std::string("?")},
          Attr{std::vector<int64_t>{-9, 1 << 30}}, Attr{std::vector<double>{NAN}}}) {
      for (const char* key : {"scale", "dim", "dims", "shape", "op", "pad", "value", "kernel_size",
                              "stride", "output_size", "dtype", "scales", "scale_out", "index",
                              "chunks", "sizes", "activation", "scale_factors"}) {
        step.attrs[key] = attr;
      }
      for (size_t count = 0; count <= some.size(); ++count) {
        for (size_t first = 0; first + count <= some.size(); ++first) {
          const auto result = row.kernel.infer(step, Descs(some).subspan(first, count));
          if (!result.ok()) {
            EXPECT_FALSE(result.status().message().empty());
          }
        }
      }
    }
  }
}

// The op table and the kernels agree: whatever family an op names has a kernel here.
TEST(ProgramTest, EveryFamilyOfTheOpTableHasAKernel) {
#define OP(id, name, match, rule, march, kernel, onnx) #kernel,
  const std::string cells[] = {
#include "fxq/graph/ops/ops.def"
  };
#undef OP
  int families = 0;
  for (const std::string& cell : cells) {
    if (cell == "_") continue;
    const size_t open = cell.find('(');
    ASSERT_NE(open, std::string::npos) << cell;
    const std::string family = cell.substr(open + 1, cell.size() - open - 2);
    if (family == "Guard") continue;  // no step: Program::guards
    EXPECT_NE(find_kernel(family, 1), nullptr) << family;
    ++families;
  }
  EXPECT_GT(families, 50);
}

}  // namespace
}  // namespace fxq
