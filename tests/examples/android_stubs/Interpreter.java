package org.tensorflow.lite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;

/** Keeps what it is given, and answers with what it was told. */
public final class Interpreter implements AutoCloseable {
    public static ByteBuffer given;
    public static float[] answer;

    public Interpreter(ByteBuffer model, Options options) {
        boolean direct = model.isDirect() && model.order() == ByteOrder.nativeOrder();
        if (!(model instanceof MappedByteBuffer) && !direct) {
            throw new IllegalArgumentException("the model is neither mapped nor direct");
        }
    }

    public void run(Object input, Object output) {
        given = (ByteBuffer) input;
        if (!given.isDirect() || given.order() != ByteOrder.nativeOrder()) {
            throw new IllegalArgumentException("LiteRT would move the input's position");
        }
        if (given.position() != 0) {
            throw new IllegalArgumentException("the input is not at its beginning");
        }
        System.arraycopy(answer, 0, ((float[][]) output)[0], 0, answer.length);
    }

    @Override
    public void close() {}

    public static class Options {
        public Options setNumThreads(int numThreads) {
            return this;
        }
    }
}
