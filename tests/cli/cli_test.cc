// The fxq program as its users call it: the main job on the digits net, and what it answers to bad
// input: a clear message, exit code 1 or 2, nothing half-written, never a signal.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

#include "fxq/base/file.h"
#include "fxq/data/labels.h"
#include "fxq/data/npy.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string text;  // stdout and stderr
};

class CliTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "fxq_cli_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Outcome fxq(const std::string& arguments) const {
    const std::string command =
        "timeout 120 " + std::string(FXQ_BINARY_DIR) + "/bin/fxq " + arguments + " 2>&1";
    Outcome outcome;
    std::FILE* pipe = popen(command.c_str(), "r");
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.text.append(buffer, n);
    const int status = pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    return outcome;
  }
  // Fails, says `message`, and leaves no `file` behind.
  void refused(const std::string& arguments, const std::string& message,
               const std::string& file = "") const {
    const Outcome outcome = fxq(arguments);
    EXPECT_TRUE(outcome.code == 1 || outcome.code == 2) << outcome.code << "\n" << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr(message)) << arguments;
    EXPECT_TRUE(file.empty() || !fs::exists(file)) << file;
  }
  std::string in(const std::string& name) const { return folder_ + "/" + name; }
  static std::string digits(const std::string& name) {
    return std::string(FXQ_SOURCE_DIR) + "/examples/digits/" + name;
  }
  static std::string fixture(const std::string& name) {
    return std::string(FXQ_MODELS_DIR) + "/" + name;
  }
  void quantize_digits(const std::string& output) const {
    const Outcome outcome = fxq("quantize " + digits("digits.script.pt") + " --calib " +
                                digits("calib_images.npy") + " -q -o " + output);
    ASSERT_EQ(outcome.code, 0) << outcome.text;
  }

  std::string folder_;
};

TEST_F(CliTest, MainJobOnDigits) {
  quantize_digits(in("d.fxq"));
  const std::string data =
      " --data " + digits("test_images.npy") + " --labels " + digits("test_labels.npy") + " -q";
  auto top1 = [&](const std::string& model) {
    const Outcome outcome = fxq("eval " + model + data);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return std::atof(outcome.text.substr(outcome.text.find("top-1 ") + 6).c_str());
  };
  const double floating = top1(digits("digits.script.pt"));
  EXPECT_GT(floating, 90.0);
  EXPECT_GE(top1(in("d.fxq")), floating - 0.5);
  const Outcome exported = fxq("export " + in("d.fxq") + " --opset 13 -o " + in("d.onnx"));
  EXPECT_EQ(exported.code, 0) << exported.text;
  EXPECT_TRUE(fs::exists(in("d.onnx")));
  const Outcome bench = fxq("bench " + in("d.fxq") + " --json --runs 5 --compare float --profile");
  EXPECT_EQ(bench.code, 0) << bench.text;
  EXPECT_THAT(bench.text, HasSubstr("\"arena_bytes\""));
}

TEST_F(CliTest, PreparedGraphsAreKeptAndExported) {
  const Outcome quantized =
      fxq("quantize " + digits("digits.script.pt") + " --calib " + digits("calib_images.npy") +
          " -q --prepared " + in("p.fxq") + " -o " + in("d.fxq"));
  ASSERT_EQ(quantized.code, 0) << quantized.text;
  const Outcome exported = fxq("export " + in("p.fxq") + " -o " + in("p.onnx"));
  EXPECT_EQ(exported.code, 0) << exported.text;
  EXPECT_THAT(exported.text, HasSubstr("fake-quant QDQ  opset 13"));
  EXPECT_THAT(exported.text, HasSubstr("[N,"));
}

TEST_F(CliTest, ExportedFilesAreRunBesideTheGraph) {
  quantize_digits(in("d.fxq"));
  if (!fs::exists(FXQ_PYTHON)) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const Outcome floats = fxq("export " + digits("digits.script.pt") + " -o " + in("f.onnx"));
  EXPECT_EQ(floats.code, 0) << floats.text;
  EXPECT_THAT(floats.text, HasSubstr("run in ONNX Runtime"));
  EXPECT_THAT(floats.text, HasSubstr("the largest difference is"));
  const Outcome integers = fxq("export " + in("d.fxq") + " -o " + in("d.onnx"));
  EXPECT_EQ(integers.code, 0) << integers.text;
  EXPECT_THAT(integers.text, HasSubstr("node by node on the same inputs"));
  EXPECT_THAT(integers.text, HasSubstr("dB from float, argmax agrees on"));
  EXPECT_THAT(integers.text, HasSubstr("again with "));
  const Outcome other =
      fxq("export " + in("d.fxq") + " --format qoperator --profile ort -o " + in("q.onnx"));
  EXPECT_EQ(other.code, 0) << other.text;
  EXPECT_THAT(other.text, HasSubstr("x QLinearConv"));
  const Outcome quick = fxq("export " + in("d.fxq") + " --no-validate -o " + in("n.onnx"));
  EXPECT_EQ(quick.code, 0) << quick.text;
  EXPECT_EQ(quick.text.find("ONNX Runtime"), std::string::npos) << quick.text;
  refused("export " + digits("digits.script.pt") + " --format qoperator -o " + in("r.onnx"),
          "wants a quantized graph; this one is float", in("r.onnx"));
}

// "the file's outputs have other sizes than the graph's"
TEST_F(CliTest, NumbersAmongTheOutputsAreComparedToo) {
  const std::string model = FXQ_MODELS_DIR "/odd_counts";
  if (!fs::exists(model + ".script.pt")) GTEST_SKIP() << "no fixture models";
  const Outcome outcome = fxq("export " + model + ".script.pt --shape 5x6 -o " + in("n.onnx"));
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  const Outcome made =
      fxq("quantize " + model + ".script.pt --calib " + model + ".calib.npy -o " + in("n.fxq"));
  EXPECT_EQ(made.code, 0) << made.text;
  EXPECT_TRUE(fs::exists(in("n.onnx")));
}

TEST_F(CliTest, AxesOfAnExportByHand) {
  const std::string model = "export " + digits("digits.script.pt") + " --shape 4x1x28x28 ";
  const Outcome batch = fxq(model + "--dynamic x:0=B -o " + in("b.onnx"));
  EXPECT_EQ(batch.code, 0) << batch.text;
  EXPECT_THAT(batch.text, HasSubstr("f32[B,1,28,28]"));
  const Outcome unnamed = fxq(model + "--dynamic x:0 -o " + in("u.onnx"));
  EXPECT_THAT(unnamed.text, HasSubstr("f32[x_axis_0,1,28,28]"));
  refused(model + "--dynamic x -o " + in("r.onnx"), "x:0=N,1=T", in("r.onnx"));
  refused(model + "--dynamic y:0 -o " + in("r.onnx"), "no input or output is named 'y'",
          in("r.onnx"));
}

class QatCliTest : public CliTest {
 protected:
  std::string qat(const std::string& output) const {
    return "qat " + digits("digits.script.pt") + " --data " + digits("test_images.npy") +
           " --labels " + digits("test_labels.npy") + " -q -o " + output;
  }
};

TEST_F(QatCliTest, TrainsDigits) {
  std::ofstream(in("c.json")) << R"({"qat": {"optimizer": "adam", "learning_rate": 1e-3,
      "distillation": 0.5}, "qconfig": {"": {"activation_fake_quant": "lsq"}}})";
  const Outcome trained = fxq(qat(in("d.fxq")) + " --with-bn --epochs 2 --config " + in("c.json") +
                              " --prepared " + in("p.fxq"));
  ASSERT_EQ(trained.code, 0) << trained.text;
  const Outcome exported = fxq("export " + in("p.fxq") + " -o " + in("p.onnx"));
  EXPECT_EQ(exported.code, 0) << exported.text;
  EXPECT_THAT(trained.text, HasSubstr("top-1 on training data: float 9"));
  EXPECT_THAT(trained.text, HasSubstr("epoch 2: loss"));
  EXPECT_FALSE(fs::exists(in("d.fxq.checkpoint")));
  const Outcome eval = fxq("eval " + in("d.fxq") + " --data " + digits("test_images.npy") +
                           " --labels " + digits("test_labels.npy") + " -q");
  EXPECT_GE(std::atof(eval.text.substr(eval.text.find("top-1 ") + 6).c_str()), 95.0) << eval.text;
}

TEST_F(QatCliTest, InterruptedItGoesOnToTheSameEnd) {
  const Outcome whole = fxq(qat(in("whole.fxq")) + " --epochs 60");
  ASSERT_EQ(whole.code, 0) << whole.text;
  const std::string command = qat(in("parts.fxq")) + " --epochs 60";
  const std::string checkpoint = in("parts.fxq.checkpoint");
  const std::string interrupted = std::string(FXQ_BINARY_DIR) + "/bin/fxq " + command + " > " +
                                  in("log") + " 2>&1 & pid=$!; while kill -0 $pid && [ ! -e " +
                                  checkpoint +
                                  " ]; do sleep 0.02; done; kill -TERM $pid; wait $pid";
  const int status = std::system(interrupted.c_str());
  ASSERT_EQ(WEXITSTATUS(status), 130) << *read_file(in("log"));
  EXPECT_THAT(*read_file(in("log")), HasSubstr("the same command goes on from"));
  refused(command + " --observer kl", "is of a run with other settings", in("parts.fxq"));
  const Outcome resumed = fxq(command);
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  EXPECT_THAT(resumed.text, HasSubstr("resuming from " + checkpoint));
  EXPECT_EQ(*read_file(in("whole.fxq")), *read_file(in("parts.fxq")));
}

TEST_F(QatCliTest, SaysWhatIsWrong) {
  std::ofstream(in("c.json")) << R"({"qat": {"learning_rat": 1}})";
  refused(qat(in("no.fxq")) + " --config " + in("c.json"), "did you mean \"learning_rate\"",
          in("no.fxq"));
  refused("qat " + digits("digits.script.pt") + " --data " + digits("calib_images.npy") +
              " --labels " + digits("test_labels.npy") + " -o " + in("no.fxq"),
          "test_labels.npy: ", in("no.fxq"));
}

// It wrote the model, and then removed it as the checkpoint; --restart removed labels.
TEST_F(QatCliTest, FilesThatAreReadAreNotWritten) {
  fs::copy_file(digits("digits.script.pt"), in("m.pt"));
  const std::string run = "qat " + in("m.pt") + " --data " + digits("test_images.npy") +
                          " --labels " + digits("test_labels.npy");
  refused(run + " -o " + in("m.pt"), "m.pt is read and would be overwritten");
  refused(run + " -o " + in("o.fxq") + " --checkpoint " + in("./o.fxq"), "would be written twice");
  refused(run + " -o " + in("o.fxq") + " --prepared " + in("o.fxq"), "would be written twice");
  refused(run + " --restart -o " + in("o.fxq") + " --checkpoint " + in("m.pt"),
          "m.pt is read and would be overwritten");
  refused("quantize " + in("m.pt") + " --calib " + digits("test_images.npy") + " -o " + in("m.pt"),
          "m.pt is read and would be overwritten");
  refused("export " + in("m.pt") + " --shape 1x1x8x8 -o " + in("m.pt"), "m.pt is read");
  EXPECT_EQ(*read_file(in("m.pt")), *read_file(digits("digits.script.pt")));
  refused(run + " -o " + in("o.fxq") + " --prepared " + in("none/p.fxq"), "cannot create");
  refused(run + " -o " + in("o.fxq") + " --learning-rate nan", "nan is no positive number");
}

TEST_F(QatCliTest, LabelsWithoutAClassAreNamedBeforeTraining) {
  const auto labels = *read_labels(digits("test_labels.npy"));
  std::ofstream csv(in("labels.csv"));
  for (size_t i = 0; i < labels.size(); ++i) csv << (i == 5 ? 10 : labels[i]) << "\n";
  csv.close();
  refused("qat " + digits("digits.script.pt") + " --data " + digits("test_images.npy") +
              " --labels " + in("labels.csv") + " -o " + in("no.fxq"),
          "labels are not in 0..9, the classes of the model: sample 5 has 10", in("no.fxq"));
}

TEST_F(QatCliTest, DivergedItEndsWithAnErrorAndWritesNothing) {
  const Outcome diverged = fxq(qat(in("no.fxq")) + " --learning-rate 1000 --epochs 3");
  EXPECT_EQ(diverged.code, 1) << diverged.text;
  EXPECT_THAT(diverged.text, HasSubstr("smaller"));
  EXPECT_FALSE(fs::exists(in("no.fxq")));
  EXPECT_FALSE(fs::exists(in("no.fxq.checkpoint")));
}

TEST_F(QatCliTest, AnOutputThatCannotBeWrittenIsRefusedBeforeTraining) {
  const Outcome nowhere = fxq(qat(in("missing/m.fxq")));
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_THAT(nowhere.text, HasSubstr("missing/m.fxq"));
  EXPECT_THAT(nowhere.text, ::testing::Not(HasSubstr("epoch")));
  const Outcome checkpoint = fxq(qat(in("m.fxq")) + " --checkpoint " + in("missing/c"));
  EXPECT_EQ(checkpoint.code, 1);
  EXPECT_THAT(checkpoint.text, HasSubstr("missing/c"));
  EXPECT_THAT(checkpoint.text, ::testing::Not(HasSubstr("epoch")));
}

// averaging_constant 0 keeps what calibration found; it ended calibration after the first batch,
// here a picture that is nearly black.
TEST_F(QatCliTest, FrozenScalesAreThoseOfTheWholeCalibration) {
  const HostTensor images = *read_npy(digits("test_images.npy"));
  HostTensor dark(images.dtype(), images.dims());
  for (size_t i = 0; i < images.data<float>().size(); ++i) {
    dark.mutable_data<float>()[i] = images.data<float>()[i] * (i < 64 ? 1e-3F : 1.0F);
  }
  ASSERT_TRUE(write_npy(in("x.npy"), dark).ok());
  std::ofstream(in("c.json"))
      << R"({"batch": 1, "qconfig": {"": {"activation_qkwargs": {"averaging_constant": 0}}}})";
  const Outcome frozen =
      fxq("qat " + digits("digits.script.pt") + " --data " + in("x.npy") + " --labels " +
          digits("test_labels.npy") + " -q -o " + in("a.fxq") + " --config " + in("c.json"));
  ASSERT_EQ(frozen.code, 0) << frozen.text;
  EXPECT_THAT(frozen.text, HasSubstr("calibrated 9"));
}

TEST_F(QatCliTest, AugmentationIsReproducible) {
  const std::string options = " --shift 1 --flip --epochs 2 --learning-rate 1e-4";
  ASSERT_EQ(fxq(qat(in("a.fxq")) + options).code, 0);
  ASSERT_EQ(fxq(qat(in("b.fxq")) + options).code, 0);
  ASSERT_EQ(fxq(qat(in("c.fxq")) + " --epochs 2 --learning-rate 1e-4").code, 0);
  EXPECT_EQ(*read_file(in("a.fxq")), *read_file(in("b.fxq")));
  EXPECT_NE(*read_file(in("a.fxq")), *read_file(in("c.fxq")));
}

TEST_F(CliTest, SameCommandGivesSameBytes) {
  quantize_digits(in("a.fxq"));
  quantize_digits(in("b.fxq"));
  EXPECT_EQ(*read_file(in("a.fxq")), *read_file(in("b.fxq")));
}

TEST_F(CliTest, QConfigsByFlagAndByFile) {
  const std::string quantize = "quantize " + digits("digits.script.pt") + " --calib " +
                               digits("calib_images.npy") + " -o " + in("d.fxq");
  const Outcome flags = fxq(quantize + " --int16 'layer1.*' --float fc");
  ASSERT_EQ(flags.code, 0) << flags.text;
  EXPECT_THAT(flags.text, HasSubstr("5 int8, 2 int16, 1 float"));
  EXPECT_THAT(flags.text, HasSubstr("float: %fc (linear) E002"));
  refused("quantize " + digits("digits.script.pt") + " --calib " + digits("calib_images.npy") +
              " --float 'laier*' -o " + in("no.fxq"),
          "no module fits 'laier*'", in("no.fxq"));
  std::ofstream(in("c.json")) << R"({"qconfig": {"module_name": [["layer1*", {"dtype": "qint16"}]],
                                     "": {"activation_qkwargs": {"observer": "percentile"}}}})";
  const Outcome table =
      fxq("inspect " + digits("digits.script.pt") + " --shape 2x1x8x8 --config " + in("c.json"));
  EXPECT_EQ(table.code, 0) << table.text;
  EXPECT_THAT(table.text, HasSubstr("module_name \"layer1.relu\"  qint16"));
  EXPECT_THAT(table.text, HasSubstr("qint8 percentile"));
  EXPECT_EQ(fxq(quantize + " --config " + in("c.json")).code, 0);
}

// What is kept whole has modules too; their names are no mistake.
TEST_F(CliTest, ModulesInsideOneThatIsKeptWholeAreKnown) {
  std::ofstream(in("c.json")) << R"({"qconfig": {"module_name": [["layer2.conv1", null]]}})";
  const Outcome made =
      fxq("quantize " + digits("digits.script.pt") + " --calib " + digits("calib_images.npy") +
          " --leaf layer2 --config " + in("c.json") + " -o " + in("m.fxq"));
  EXPECT_EQ(made.code, 0) << made.text;
  EXPECT_THAT(made.text, HasSubstr("'layer2.conv1' is inside 'layer2', which is kept whole"));
}

// The tables name the layers; the config that sensitivity writes goes back into quantize.
TEST_F(CliTest, CompareAndSensitivity) {
  const std::string model = digits("digits.script.pt") + " --calib " + digits("calib_images.npy");
  std::ofstream(in("one.json"))
      << R"({"qconfig": {"": {"weight_qkwargs": {"observer": "min_max"}}}})";
  const Outcome table = fxq("compare " + model + " --config " + in("one.json") + " -q");
  EXPECT_EQ(table.code, 0) << table.text;
  EXPECT_THAT(table.text, HasSubstr("local dB"));
  EXPECT_THAT(table.text, HasSubstr("per-tensor weight: "));
  EXPECT_EQ(fxq("compare " + model + " -q --worst").text.find("per-tensor"), std::string::npos);
  const Outcome ranked = fxq("sensitivity " + model + " -q --keep 2 -o " + in("c.json"));
  EXPECT_EQ(ranked.code, 0) << ranked.text;
  EXPECT_THAT(ranked.text, HasSubstr("with these in float"));
  const Outcome again =
      fxq("quantize " + model + " --config " + in("c.json") + " -o " + in("d.fxq"));
  EXPECT_EQ(again.code, 0) << again.text;
  EXPECT_THAT(again.text, HasSubstr("6 int8, 0 int16, 2 float"));
  refused("compare " + in("d.fxq") + " --calib x.npy", "is quantized already");
}

TEST_F(CliTest, EagerEqualsTracedGraph) {
  const std::string run =
      "run " + digits("digits.trace.pt") + " --input " + digits("test_images.npy") + " --output ";
  ASSERT_EQ(fxq(run + in("graph.npy")).code, 0);
  ASSERT_EQ(fxq(run + in("eager.npy") + " --eager").code, 0);
  EXPECT_EQ(*read_file(in("graph.npy")), *read_file(in("eager.npy")));
}

// Numbers were f32, text was an error, and inputs had to have the same number of rows.
TEST_F(CliTest, RunWritesNumbersAndShowsText) {
  const std::string model = FXQ_MODELS_DIR "/odd_answers";
  if (!fs::exists(model + ".script.pt")) GTEST_SKIP() << "no fixture models";
  for (const char* how : {"", " --eager"}) {
    const Outcome outcome = fxq("run " + model + ".script.pt --input " + model + ".input.0.npy " +
                                model + ".input.1.npy --output " + in("y.npy") + how);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("y.0.npy f32[2,5]"));
    EXPECT_THAT(outcome.text, HasSubstr("an output is text: 2 rows"));
    EXPECT_EQ(read_npy(in("y.1.npy"))->data<int64_t>()[0], 4);
    EXPECT_EQ(read_npy(in("y.2.npy"))->data<bool>()[0], true);
    EXPECT_EQ(read_npy(in("y.3.npy"))->data<float>()[0], 2.5F);
  }
}

// Passes over a .pt give a .pt: this program and Python's LibTorch read it.
TEST_F(CliTest, RewrittenTorchScriptRunsEverywhere) {
  const Outcome rewritten =
      fxq("rewrite " + digits("digits.script.pt") + " --shape 2x1x8x8 -o " + in("fused.pt"));
  ASSERT_EQ(rewritten.code, 0) << rewritten.text;
  EXPECT_THAT(rewritten.text, HasSubstr("largest relative difference"));
  const Outcome eval = fxq("eval " + in("fused.pt") + " --data " + digits("test_images.npy") +
                           " --labels " + digits("test_labels.npy") + " -q");
  EXPECT_THAT(eval.text, HasSubstr("top-1 99.44"));
  const std::string python = std::string(FXQ_PYTHON) + " -c \"import torch; torch.jit.load('" +
                             in("fused.pt") + "').eval()(torch.zeros(3, 1, 8, 8))\"";
  EXPECT_EQ(std::system(python.c_str()), 0);
  refused("rewrite " + digits("digits.script.pt") + " --passes cse,dze -o " + in("x.pt"), "dce",
          in("x.pt"));
}

TEST_F(CliTest, LibrariesThatAreNone) {
  refused("inspect " + digits("digits.script.pt") + " --load-library " + digits("digits.script.pt"),
          "can't be loaded as a library");
}

// forward(x, factor: int = 2, mask: Optional[Tensor] = None): data for x is enough.
TEST_F(CliTest, ArgumentsWithDefaultsNeedNoData) {
  const std::string net = fixture("odd_defaults");
  const Outcome quantized =
      fxq("quantize " + net + ".script.pt --calib " + net + ".calib.npy -o " + in("m.fxq"));
  ASSERT_EQ(quantized.code, 0) << quantized.text;
  EXPECT_EQ(fxq("export " + in("m.fxq") + " -o " + in("m.onnx")).code, 0);
  refused("quantize " + net + ".script.pt --calib " + net + ".calib.npy --calib mask=" + net +
              ".calib.npy -o " + in("n.fxq"),
          "factor", in("n.fxq"));
}

TEST_F(CliTest, InputsOfIntegersAreExportedAndTimed) {
  const std::string net = fixture("odd_indices");
  const Outcome quantized =
      fxq("quantize " + net + ".script.pt --calib " + net + ".calib.npy -o " + in("m.fxq"));
  ASSERT_EQ(quantized.code, 0) << quantized.text;
  const Outcome exported = fxq("export " + in("m.fxq") + " -o " + in("m.onnx"));
  EXPECT_EQ(exported.code, 0) << exported.text;
  EXPECT_THAT(exported.text, HasSubstr("i64[N,7]"));
  const Outcome bench = fxq("bench " + in("m.fxq") + " --runs 5");
  EXPECT_EQ(bench.code, 0) << bench.text;
}

TEST_F(CliTest, ShapesHaveDtypes) {
  const std::string net = fixture("odd_indices") + ".script.pt";
  const Outcome typed = fxq("inspect " + net + " --shape 3x7:i64");
  EXPECT_EQ(typed.code, 0) << typed.text;
  EXPECT_THAT(typed.text, HasSubstr("i64[3,7]"));
  refused("inspect " + net + " --shape 3x7:int8x", "int8x");
}

TEST_F(CliTest, TypesForEveryBatchSize) {
  const Outcome typed = fxq("inspect " + digits("digits.script.pt") + " --shape Nx1x8x8 --fused");
  EXPECT_EQ(typed.code, 0) << typed.text;
  EXPECT_THAT(typed.text, HasSubstr("f32[N,10]"));
}

// What the graph can't hold is in the file as TorchScript: code, which only a flag lets in.
TEST_F(CliTest, EmbeddedTorchScriptIsReadOnRequestOnly) {
  const std::string net = fixture("odd_branch");
  const Outcome quantized =
      fxq("quantize " + net + ".script.pt --calib " + net + ".calib.npy -o " + in("m.fxq") + " -q");
  ASSERT_EQ(quantized.code, 0) << quantized.text;
  refused("inspect " + in("m.fxq"), "--allow-torchscript");
  refused("export " + in("m.fxq") + " -o " + in("m.onnx"), "--allow-torchscript", in("m.onnx"));
  const Outcome inspected = fxq("inspect " + in("m.fxq") + " --allow-torchscript");
  EXPECT_EQ(inspected.code, 0) << inspected.text;
}

TEST_F(CliTest, BadModels) {
  const std::string whole = *read_file(digits("digits.script.pt"));
  ASSERT_TRUE(write_file_atomically(in("cut.pt"), whole.substr(0, whole.size() / 2)).ok());
  ASSERT_TRUE(write_file_atomically(in("empty.pt"), "").ok());
  refused("inspect " + in("cut.pt"), "cut short");
  refused("inspect " + in("empty.pt"), "empty.pt");
  refused("inspect " + in("missing.pt"), "no such file");
  refused("inspect " + folder_, "folder");
}

TEST_F(CliTest, DamagedProgramIsNoticed) {
  quantize_digits(in("d.fxq"));
  const std::string whole = *read_file(in("d.fxq"));
  for (size_t at : {size_t{0}, size_t{7}, size_t{8}, size_t{100}, size_t{2000}, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    ASSERT_TRUE(write_file_atomically(in("bad.fxq"), damaged).ok());
    refused("run " + in("bad.fxq") + " --input " + digits("test_images.npy") + " --output " +
                in("y.npy"),
            "bad.fxq", in("y.npy"));
  }
}

TEST_F(CliTest, BadCalibrationData) {
  const std::string head = "quantize " + digits("digits.script.pt") + " -o " + in("n.fxq");
  HostTensor images(DType::kF32, {4, 1, 8, 8});
  images.mutable_data<float>()[70] = std::nanf("");
  ASSERT_TRUE(write_npy(in("nan.npy"), images).ok());
  ASSERT_TRUE(write_npy(in("wrong.npy"), HostTensor(DType::kF32, {4, 3, 8, 8})).ok());
  ASSERT_TRUE(write_npy(in("double.npy"), HostTensor(DType::kF64, {4, 1, 8, 8})).ok());
  refused(head, "no calibration data", in("n.fxq"));
  refused(head + " --calib " + in("nan.npy"), "sample 1", in("n.fxq"));
  refused(head + " --calib " + in("wrong.npy"), "channels", in("n.fxq"));
  refused(head + " --calib " + in("double.npy"), "Double", in("n.fxq"));
  refused(head + " --calib " + in("missing.npy"), "missing.npy", in("n.fxq"));
  refused(head + " --calib other=" + digits("calib_images.npy"), "other", in("n.fxq"));
}

TEST_F(CliTest, BadInputsAndTargets) {
  quantize_digits(in("d.fxq"));
  ASSERT_TRUE(write_npy(in("wrong.npy"), HostTensor(DType::kF32, {4, 3, 8, 8})).ok());
  ASSERT_TRUE(write_npy(in("double.npy"), HostTensor(DType::kF64, {4, 1, 8, 8})).ok());
  const std::string run = "run " + in("d.fxq") + " --output " + in("y.npy") + " --input ";
  refused(run + in("wrong.npy"), "[4,3,8,8]", in("y.npy"));
  refused(run + in("double.npy"), "need f32", in("y.npy"));
  refused("export " + in("d.fxq") + " -o /nowhere/d.onnx", "/nowhere/d.onnx");
  refused("quantize " + digits("digits.script.pt") + " --calib " + digits("calib_images.npy") +
              " -o /nowhere/d.fxq",
          "/nowhere/d.fxq");
}

TEST_F(CliTest, NamesThatMatchNothing) {
  const std::string head = "quantize " + digits("digits.script.pt") + " --calib " +
                           digits("calib_images.npy") + " -o " + in("n.fxq");
  refused(head + " --leaf Conv2", "did you mean \"Conv2d\"", in("n.fxq"));
  std::ofstream(in("c.json")) << R"({"qconfig": {"module_name": [["nope", null]]}})";
  refused(head + " --config " + in("c.json"), "there is no module 'nope'", in("n.fxq"));
  std::ofstream(in("bad.json")) << "{\"march\": }";
  refused(head + " --config " + in("bad.json"), "line 1, column 11", in("n.fxq"));
  std::ofstream(in("huge.json")) << R"({"batch": 2E2147})";
  refused(head + " --config " + in("huge.json"), "number overflow parsing '2E2147'", in("n.fxq"));
  refused("quantise x.pt", "did you mean \"quantize\"?");
}

TEST_F(CliTest, AModuleThatStaysFloatByItsName) {
  std::ofstream(in("c.json")) << R"({"qconfig": {"module_type": [["Linear", null]]}})";
  const Outcome outcome =
      fxq("quantize " + digits("digits.script.pt") + " --calib " + digits("calib_images.npy") +
          " --config " + in("c.json") + " -o " + in("n.fxq"));
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("1 float"));
  EXPECT_THAT(outcome.text, HasSubstr("E002"));
}

TEST_F(CliTest, LabelsThatAreNoClasses) {
  std::ofstream(in("y.csv")) << "0\n1\n17\n";
  refused("eval " + digits("digits.script.pt") + " --data " + digits("test_images.npy") +
              " --limit 3 --labels " + in("y.csv"),
          "label 17 of sample 2 is no class");
}

TEST_F(CliTest, CheckSaysWhatAMarchWouldRun) {
  const std::string net = digits("digits.script.pt");
  const Outcome table = fxq("check " + net + " --march bayes --shape 1x1x8x8 --strict");
  EXPECT_EQ(table.code, 0) << table.text;
  EXPECT_THAT(table.text, HasSubstr("BAYES: passes"));
  EXPECT_THAT(table.text, HasSubstr("MACs on the BPU: 100.0 %"));
  const Outcome small = fxq("check " + net + " --march bernoulli2 --shape 1x1x8x8");
  EXPECT_EQ(small.code, 0) << small.text;
  EXPECT_THAT(small.text, HasSubstr("E001  BERNOULLI2 has no linear"));
  EXPECT_THAT(small.text, HasSubstr("BERNOULLI2: does not pass"));
  const Outcome strict = fxq("check " + net + " --march bernoulli2 --input " +
                             digits("test_images.npy") + " --strict");
  EXPECT_EQ(strict.code, 3) << strict.text;
  refused("check " + net + " --march bayes", "give --input x.npy or --shape");
  refused("check " + net + " --march bays --shape 1x1x8x8", "did you mean");
}

// The comparison of `if x.mean() > 0` is not what the march lacks: the `if` is.
TEST_F(CliTest, CheckBlamesTheBranchForItsCondition) {
  const std::string net = fixture("odd_branch.script.pt");
  if (!fs::exists(net)) GTEST_SKIP() << "make the fixture models first";
  const Outcome table = fxq("check " + net + " --march bayes --shape 2x3x8x8");
  EXPECT_THAT(table.text, HasSubstr("E012  only %opaque_if reads it"));
  EXPECT_THAT(table.text, Not(HasSubstr("E005")));
}

TEST_F(CliTest, ExplainKnowsEveryCode) {
  EXPECT_THAT(fxq("explain E010").text, HasSubstr("a limit of the march"));
  EXPECT_THAT(fxq("explain e010").text, HasSubstr("a limit of the march"));
  EXPECT_THAT(fxq("explain").text, HasSubstr("W102"));
  refused("explain E0100", "did you mean");
}

TEST_F(CliTest, HybridModelsAreQuantizedAndDoNotPass) {
  const std::string quantize = "quantize " + digits("digits.script.pt") + " --calib " +
                               digits("calib_images.npy") + " --march bernoulli2 -o " + in("h.fxq");
  refused(quantize, "do not run on BERNOULLI2; set hybrid=true", in("h.fxq"));
  EXPECT_EQ(fxq(quantize + " --hybrid --strict").code, 3);
  std::ofstream(in("c.json")) << R"({"hybrid": {"module_name": ["layer1"]}})";
  const Outcome made = fxq(quantize + " --hybrid --config " + in("c.json"));
  ASSERT_EQ(made.code, 0) << made.text;
  EXPECT_THAT(made.text, HasSubstr("E011 hybrid_dict's module_name \"layer1\" names it"));
  EXPECT_THAT(made.text, HasSubstr("segments (BPU "));
  const Outcome checked = fxq("check " + in("h.fxq") + " --strict");
  EXPECT_EQ(checked.code, 3) << checked.text;
  EXPECT_THAT(checked.text, HasSubstr("W105: the model is hybrid"));
  const Outcome inspected = fxq("inspect " + in("h.fxq"));
  EXPECT_THAT(inspected.text, HasSubstr("march: BERNOULLI2"));
  EXPECT_THAT(inspected.text, HasSubstr("calibration: "));
  EXPECT_THAT(inspected.text, HasSubstr("qconfigs: {"));
  EXPECT_EQ(fxq("run " + in("h.fxq") + " --input " + digits("test_images.npy") + " --output " +
                in("y.npy"))
                .code,
            0);
  std::ofstream(in("bad.json")) << R"({"hybrid": {"module_names": ["layer1"]}})";
  refused(quantize + " --hybrid --config " + in("bad.json"), "unknown key \"module_names\"");
}

// A file that could not be made took the place of the one that was there.
TEST_F(CliTest, AnExportThatFailsLeavesTheFormerFile) {
  std::ofstream(in("m.onnx")) << "the former one";
  const Outcome failed =
      fxq("export " + digits("digits.script.pt") + " --shape 1x7x7x7 -o " + in("m.onnx"));
  EXPECT_EQ(failed.code, 1) << failed.text;
  EXPECT_EQ(*read_file(in("m.onnx")), "the former one");
  const Outcome made =
      fxq("export " + digits("digits.script.pt") + " --external-data -o " + in("m.onnx"));
  EXPECT_EQ(made.code, 0) << made.text;
  EXPECT_TRUE(fs::exists(in("m.onnx.data")));
  const auto left = std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  EXPECT_EQ(left, 2) << "nothing else stays behind";
}

TEST_F(CliTest, WrongUsageExitsWithTwo) {
  EXPECT_EQ(fxq("").code, 2);
  EXPECT_EQ(fxq("quantise m.pt").code, 2);
  EXPECT_EQ(fxq("bench").code, 2);
  EXPECT_EQ(fxq("--help").code, 0);
  EXPECT_EQ(fxq("--version").code, 0);
}

}  // namespace
}  // namespace fxq
